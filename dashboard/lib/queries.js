// Queries in tables, and their text as people write it.

import { html } from "../vendor/htm-preact.js";
import { EndpointLink, MANY_ERRORS } from "./endpoints.js";
import { count, ms, percent, plural, NONE } from "./format.js";
import { Bar } from "./ui.js";
import { href } from "./url.js";

export const queryHref = ({ fingerprint }) => href("/query", { fingerprint });

const CLAUSES = /\s+(?=(?:FROM|WHERE|GROUP BY|ORDER BY|HAVING|LIMIT|OFFSET|RETURNING|VALUES|SET|UNION|ON CONFLICT|(?:LEFT |RIGHT |INNER |FULL |CROSS )?(?:OUTER )?JOIN)\b)/gi;

/** A statement with each of its clauses on a line: it comes without literals, so that no text in quotes is broken. */
export const inLines = (text) => text.replace(CLAUSES, (space, at) => (isInside(text, at) ? space : "\n"));

/** Within parentheses: a subquery, or the list of an INSERT, stays together. */
function isInside(text, at) {
  let depth = 0;
  for (let index = 0; index < at; index += 1) {
    if (text[index] === "(") depth += 1;
    else if (text[index] === ")") depth -= 1;
  }
  return depth > 0;
}

/** Many queries of one request that differ only in a value: one query could ask for all. */
export function RepeatedNote({ query }) {
  if (!query.repeated_in_requests) return null;
  return html`<span class="tag" title="${plural(query.repeated_in_requests, "request")} asked it five times or more: one query could ask for all">N+1 in ${plural(query.repeated_in_requests, "request")}</span>`;
}

const usedBy = (row) => {
  const [first, ...more] = row.used_by;
  if (!first) return html`<span class="faint">${NONE}</span>`;
  return html`<${EndpointLink} of=${first} />${more.length > 0 && html`<div class="note">and ${plural(more.length, "other")}</div>`}`;
};

export const columns = {
  text: {
    name: "text", label: "Query", lead: true, value: (row) => row.text,
    cell: (row) => html`
      <a class="query-text mono clip" href=${queryHref(row)} title=${row.text}>${row.text}</a>
      <div class="note">${row.system} <${RepeatedNote} query=${row} /></div>`,
  },
  calls: { name: "calls", label: "Calls", numeric: true, value: (row) => row.calls, cell: (row) => count(row.calls) },
  total: {
    name: "total_ms", label: "Total", numeric: true, value: (row) => row.total_ms, title: "Time of all calls, and their part of the time of all queries",
    cell: (row) => html`<div class="share">${ms(row.total_ms)} <span class="faint">${percent(row.share)}</span><${Bar} part=${row.share} /></div>`,
  },
  mean: { name: "mean_ms", label: "Mean", numeric: true, value: (row) => row.mean_ms, cell: (row) => ms(row.mean_ms) },
  p95: { name: "p95_ms", label: "p95", numeric: true, value: (row) => row.p95_ms, cell: (row) => ms(row.p95_ms) },
  max: { name: "max_ms", label: "Max", numeric: true, value: (row) => row.max_ms, cell: (row) => ms(row.max_ms) },
  errors: { name: "errors", label: "Errors", numeric: true, value: (row) => row.errors, cell: (row) => html`<span class=${row.errors >= row.calls * MANY_ERRORS ? "tone-bad strong" : row.errors > 0 ? "" : "faint"}>${count(row.errors)}</span>` },
  usedBy: { name: "used_by", label: "Used most by", wide: true, cell: usedBy },
};

export const queryKey = (row) => row.fingerprint;
