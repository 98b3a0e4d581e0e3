// Small parts that several of the operations pages show.

import { html } from "../vendor/htm-preact.js";
import { hrefHere, useLocation } from "../lib/url.js";

/** Links that choose one value of a parameter of this page: `[[value, label, count]]`; the first is the default. */
export function Tabs({ name, label, items, reset = [] }) {
  const { params } = useLocation();
  const value = params.get(name) ?? items[0][0];
  const others = Object.fromEntries(reset.map((other) => [other, null]));
  return html`
    <nav class="tabs" aria-label=${label}>
      ${items.map(([one, text, number], index) => html`
        <a href=${hrefHere({ ...others, [name]: index === 0 ? null : one })} aria-current=${one === value ? "true" : undefined}>
          ${text}${number > 0 && html` <span class="tab-count">${number > 999 ? "999+" : number}</span>`}
        </a>`)}
    </nav>`;
}

/** A select that is a parameter of the address. */
export function Choice({ label, value, set, options }) {
  return html`
    <label class="choice"><span class="visually-hidden">${label}</span>
      <select value=${value} onChange=${(event) => set(event.target.value)}>
        ${options.map(([one, text]) => html`<option value=${one} selected=${one === value}>${text}</option>`)}
      </select>
    </label>`;
}

/** JSON to read. */
export const Json = ({ value, label }) => html`<pre class="code" tabindex="0" role="region" aria-label=${label}>${JSON.stringify(value, null, 2)}</pre>`;

/** Facts as a list of names and values; `null` values are left out. */
export const Facts = ({ items }) => html`
  <dl class="facts">${items.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
