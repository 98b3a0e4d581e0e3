// Alerts in a few lines, for pages that are about something else.

import { html } from "../vendor/htm-preact.js";
import { StatusBadge, Time } from "./ui.js";
import { href } from "./url.js";

const WORST_FIRST = ["critical", "high", "medium", "low"];
const rank = (alert) => WORST_FIRST.indexOf(alert.severity);

export const worstFirst = (alerts) => [...alerts].sort((a, b) => rank(a) - rank(b) || Date.parse(b.last_seen_at) - Date.parse(a.last_seen_at));

export const AlertList = ({ alerts }) => html`
  <ul class="lines">
    ${alerts.map((alert) => html`
      <li key=${alert.id}>
        <${StatusBadge} state=${alert.severity} />
        <a class="lines-main" href=${href("/alert", { id: alert.id })}>${alert.title}</a>
        <span class="note nowrap">${alert.status === "active" ? "" : `${alert.status}, `}<${Time} at=${alert.raised_at ?? alert.first_seen_at} /></span>
      </li>`)}
  </ul>`;
