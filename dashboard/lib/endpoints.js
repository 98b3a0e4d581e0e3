// Endpoints in tables: their names as links, and the columns that several pages show.

import { html } from "../vendor/htm-preact.js";
import { Change } from "./figures.js";
import { count, ms, percent, NONE } from "./format.js";
import { href } from "./url.js";

export const endpointHref = ({ service, method, endpoint }) => href("/endpoint", { service, method, endpoint });

/** A method and a route as a link, its service below. */
export function EndpointLink({ of, noService = false }) {
  if (!of.endpoint) return html`<span class="faint">${of.service ?? NONE}</span>`;
  return html`
    <a class="lead-line" href=${endpointHref(of)}><span class="method">${of.method}</span> ${of.endpoint}</a>
    ${!noService && html`<div class="note">${of.service}</div>`}`;
}

/** More than this part of failed requests stands out. */
export const MANY_ERRORS = 0.05;
export const ErrorRate = ({ part }) => html`<span class=${part >= MANY_ERRORS ? "tone-bad strong" : part > 0 ? "" : "faint"}>${percent(part)}</span>`;

const rise = (row) => (row.before && row.before.p95_ms > 0 ? row.p95_ms / row.before.p95_ms - 1 : null);

export const columns = {
  endpoint: { name: "endpoint", label: "Endpoint", lead: true, value: (row) => `${row.endpoint} ${row.method} ${row.service}`, cell: (row) => html`<${EndpointLink} of=${row} />` },
  count: { name: "count", label: "Requests", numeric: true, value: (row) => row.count, cell: (row) => count(row.count) },
  errors: { name: "error_rate", label: "Errors", numeric: true, value: (row) => row.error_rate, cell: (row) => html`<${ErrorRate} part=${row.error_rate} />` },
  mean: { name: "mean_ms", label: "Mean", numeric: true, value: (row) => row.mean_ms, cell: (row) => ms(row.mean_ms) },
  p50: { name: "p50_ms", label: "p50", numeric: true, value: (row) => row.p50_ms, cell: (row) => ms(row.p50_ms) },
  p95: { name: "p95_ms", label: "p95", numeric: true, value: (row) => row.p95_ms, cell: (row) => ms(row.p95_ms) },
  p99: { name: "p99_ms", label: "p99", numeric: true, value: (row) => row.p99_ms, cell: (row) => ms(row.p99_ms) },
  max: { name: "max_ms", label: "Max", numeric: true, value: (row) => row.max_ms, cell: (row) => ms(row.max_ms) },
  change: {
    name: "change", label: "p95 change", numeric: true, title: "p95 against the window before, of the same length", value: rise,
    cell: (row) => (row.before ? html`<${Change} after=${row.p95_ms} before=${row.before.p95_ms} moreIsWorse format=${ms} short />` : html`<span class="faint">new</span>`),
  },
};

export const endpointKey = (row) => `${row.service} ${row.method} ${row.endpoint}`;
