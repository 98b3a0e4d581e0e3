// Big numbers, each with how it went and how it was before.

import { html } from "../vendor/htm-preact.js";
import { change, signedPercent } from "./format.js";
import { Sparkline } from "./ui.js";

/** What changes by less is as it was. */
const SMALL = 0.05;

/**
 * How a figure is against before. `after` and `before` are numbers; moreIsWorse: so for times and errors;
 * format: of the figure, for the title.
 */
export function Change({ after, before, moreIsWorse = false, format = String, short = false }) {
  const part = change(after, before);
  if (part === null) return null;
  const isSmall = Math.abs(part) < SMALL;
  const tone = isSmall || !moreIsWorse ? "none" : part > 0 ? "bad" : "good";
  return html`
    <span class="change tone-${tone}" title="${format(before)} in the window before">
      <span aria-hidden="true">${isSmall ? "≈" : part > 0 ? "↑" : "↓"}</span> ${signedPercent(part)}<span class=${short ? "visually-hidden" : "change-of"}> against before</span>
    </span>`;
}

/** items: [{ label, value (text), change, note, values, tone }] */
export const Figures = ({ items }) => html`
  <dl class="figures">
    ${items.map(({ label, value, tone = "", note, change: changed, values }) => html`
      <div class="figure">
        <dt>${label}</dt>
        <dd class="figure-value ${tone}">${value}</dd>
        <dd class="figure-note">${changed}${note && html`<span class="faint">${note}</span>`}</dd>
        ${values && html`<dd class="figure-line"><${Sparkline} values=${values} label="${label} over time" tone=${tone} /></dd>`}
      </div>`)}
  </dl>`;
