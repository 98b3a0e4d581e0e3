// The slowest requests of a window, as a table.

import { html } from "../vendor/htm-preact.js";
import { EndpointLink } from "./endpoints.js";
import { ms, plural, NONE } from "./format.js";
import { Table } from "./table.js";
import { Copy, Time } from "./ui.js";

const isError = (row) => row.status_code >= 500;

const columns = [
  { name: "endpoint", label: "Endpoint", lead: true, value: (row) => `${row.endpoint} ${row.method}`, cell: (row) => html`<${EndpointLink} of=${row} />` },
  { name: "response_time_ms", label: "Took", numeric: true, value: (row) => row.response_time_ms, cell: (row) => html`<strong>${ms(row.response_time_ms)}</strong>` },
  { name: "db_query_time_ms", label: "In queries", numeric: true, value: (row) => row.db_query_time_ms, cell: queries },
  { name: "status_code", label: "Status", numeric: true, value: (row) => row.status_code, cell: (row) => html`<span class=${isError(row) ? "tone-bad strong" : ""}>${row.status_code ?? NONE}</span>` },
  { name: "who", label: "Tenant, user", value: (row) => row.tenant ?? row.user_id, cell: (row) => [row.tenant, row.user_id].filter(Boolean).join(", ") || NONE },
  { name: "occurred_at", label: "When", value: (row) => row.occurred_at, cell: (row) => html`<span class="nowrap"><${Time} at=${row.occurred_at} /></span>` },
  { name: "trace", label: "Trace", cell: (row) => (row.trace_id ? html`<${Copy} text=${row.trace_id} label="Copy id" />` : html`<span class="faint">${NONE}</span>`) },
];

const when = columns.find((column) => column.name === "occurred_at");
const columnsOfOne = [{ ...when, lead: true }, ...columns.slice(1).filter((column) => column !== when)];

function queries(row) {
  if (row.db_query_count === null || row.db_query_count === undefined) return html`<span class="faint">${NONE}</span>`;
  return html`<span title=${plural(row.db_query_count, "query", "queries")}>${ms(row.db_query_time_ms)} <span class="faint">/ ${row.db_query_count}</span></span>`;
}

/** `param`: the name of the sort order in the address; `isOfOne`: all are of one endpoint, whose name is left out. */
export const SlowRequests = ({ items, param = "slow", isOfOne = false }) => html`
  <${Table} caption="Slowest requests" param=${param} sort="-response_time_ms" rows=${items}
    columns=${isOfOne ? columnsOfOne : columns} rowKey=${(row) => `${row.occurred_at} ${row.response_time_ms} ${row.trace_id}`} />`;
