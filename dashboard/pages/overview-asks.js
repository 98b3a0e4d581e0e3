// What the overview asks for at first.

import { asked } from "../lib/url.js";

export const asks = () => ({
  requests: asked("/performance/dashboard"),
  endpoints: asked("/performance/metrics/endpoints", { limit: 40 }),
  alerts: asked("/performance/alerts", { hours: null, since: null, until: null, status: "open", limit: 10 }),
});
