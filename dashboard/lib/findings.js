// What trend analysis has found: lasting shifts, anomalies, forecasts.

import { html } from "../vendor/htm-preact.js";
import { Card, StatusBadge, Time } from "./ui.js";

/** One that is told in the sentence of another is not told again. */
export const standsForItself = (finding) => finding.group_id === finding.id;

/** A finding as the marker of a chart. */
export const marker = (finding) => ({
  at: finding.since,
  tone: finding.direction === "better" ? "good" : "warn",
  text: finding.sentence,
});

export function Findings({ findings, note }) {
  if (findings.length === 0) return null;
  return html`
    <${Card} title="What changed" note=${note}>
      <ul class="lines">
        ${findings.map((finding) => html`
          <li key=${finding.id}>
            ${finding.state === "open" ? html`<${StatusBadge} state=${finding.direction} />` : html`<${StatusBadge} state=${finding.state} />`}
            <span class="lines-main">${finding.sentence}</span>
            <span class="note nowrap">since <${Time} at=${finding.since} /></span>
          </li>`)}
      </ul>
    </${Card}>`;
}
