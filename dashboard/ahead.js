// Runs while the other scripts are still on their way: asks who looks, and for what the overview will show.

import { askAhead } from "./lib/api.js";
import { asks } from "./pages/overview-asks.js";

if (location.pathname !== "/sign-in") askAhead("/session");
if (location.pathname === "/") Object.values(asks()).forEach(askAhead);
