// Runs while the other scripts are still on their way: asks who looks, and for what the overview will show.

import { asks, SERVICES } from "./asks.js";
import { askAhead } from "./lib/api.js";

const isOverview = location.pathname === "/";
if (location.pathname !== "/sign-in") {
  askAhead("/session").then(({ tenant }) => isOverview && tenant === null && askAhead(SERVICES), () => {});
}
if (isOverview) Object.values(asks()).forEach(askAhead);
