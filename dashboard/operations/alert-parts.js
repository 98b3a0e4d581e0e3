// How an alert is shown, in the list and on its own page.

import { html } from "../vendor/htm-preact.js";
import { inUnit, plural } from "../lib/format.js";
import { Button, StatusBadge, Time } from "../lib/ui.js";
import { useWhyNot } from "./actions.js";
import { ACTIONS } from "./alert-actions.js";

const RANKS = { critical: 4, high: 3, medium: 2, low: 1 };
export const severityRank = (alert) => RANKS[alert.severity] ?? 0;

const STATUS_TONES = { active: "bad", acknowledged: "mild", pending: "none", resolved: "good" };
export const AlertStatus = ({ alert }) => html`<${StatusBadge} state=${alert.status} tone=${STATUS_TONES[alert.status]} />`;

/** `12.4% of 5%`: what was measured, and what it was compared with. */
export function Measured({ alert }) {
  if (alert.value === null) return html`<span class="faint">–</span>`;
  return html`<span class="nowrap"><strong>${inUnit(alert.value, alert.unit)}</strong>${alert.threshold !== null && html`<span class="faint"> / ${inUnit(alert.threshold, alert.unit)}</span>`}</span>`;
}

/** Who has seen it and what they said; or until when it is silent. */
export function AlertNotes({ alert, silence }) {
  return html`
    ${alert.status === "acknowledged" && html`<div class="note">by ${alert.acknowledged_by}, <${Time} at=${alert.acknowledged_at} /></div>`}
    ${alert.status === "resolved" && html`<div class="note"><${Time} at=${alert.resolved_at} /></div>`}
    ${alert.note && html`<div class="note clip" title=${alert.note}>“${alert.note}”</div>`}
    ${alert.is_flapping && html`<div class="note">comes and goes, ${plural(alert.reopened, "time")} so far</div>`}
    ${silence && alert.status !== "resolved" && html`<div class="note">silenced, ends <${Time} at=${silence.ends_at} /></div>`}`;
}

/** Buttons for what makes sense now. */
export function AlertButtons({ alert, ask, kind = "small" }) {
  const whyNot = useWhyNot("alerts");
  const fitting = ACTIONS.filter((action) => action.fits(alert));
  return html`
    <div class="row-actions">
      ${fitting.map((action) => html`
        <${Button} key=${action.name} kind=${kind} why=${whyNot} aria-haspopup="dialog" aria-label="${action.label}: ${alert.title}" onClick=${() => ask(action.name, alert)}>${action.label}</${Button}>`)}
    </div>`;
}
