// What the overview asks for at first.

import { asked, params } from "./lib/asked.js";

/** Which endpoints are listed, and how the API calls that order. */
const ORDERS = { busiest: "count", slowest: "p95_ms", failing: "error_rate" };
/** How many. */
const SHORT = 8;

export const asks = () => ({
  requests: asked("/performance/dashboard"),
  endpoints: asked("/performance/metrics/endpoints", { limit: SHORT, sort: ORDERS[params().get("by")] }),
  alerts: asked("/performance/alerts", { hours: null, since: null, until: null, status: "open", limit: 10 }),
});

/** Not for the key of a tenant. */
export const SERVICES = "/performance/services/health";
