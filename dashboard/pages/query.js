// One query: what it is, how it went, and who asks it.

import { html } from "../vendor/htm-preact.js";
import { EndpointLink } from "../lib/endpoints.js";
import { Figures } from "../lib/figures.js";
import { count, ms, percent, plural, NONE } from "../lib/format.js";
import { LatencyCard, TrafficCard } from "../lib/history.js";
import { usePoll } from "../lib/live.js";
import { askedMetrics, pace, Page, rangeWords } from "../lib/page.js";
import { inLines, RepeatedNote } from "../lib/queries.js";
import { Table } from "../lib/table.js";
import { Bar, Card, Copy, Empty, Loaded, Time } from "../lib/ui.js";
import { href, hrefHere, useLocation } from "../lib/url.js";

export default function Query() {
  const fingerprint = useLocation().params.get("fingerprint") ?? "";
  const poll = usePoll(askedMetrics("slow-queries", { threshold_ms: 0, fingerprint }), { every: pace() });
  const query = poll.data?.items[0];
  const trail = html`<a href=${href("/queries")}>Queries</a>`;
  return html`
    <${Page} title=${query?.summary ?? "Query"} trail=${trail} filters=${["service", "tenant", "time"]}>
      <${Loaded} poll=${poll} lines=${12}>${() => (query ? html`<${Found} query=${query} />` : html`<${Missing} />`)}</${Loaded}>
    </${Page}>`;
}

function Missing() {
  return html`
    <${Card}>
      <${Empty} title="This query was not asked ${rangeWords()}">
        <a href=${hrefHere({ hours: 168, since: null, until: null, service: null, tenant: null })}>Look at the last 7 days, all services</a>
      </${Empty}>
    </${Card}>`;
}

function Found({ query }) {
  const history = usePoll(askedMetrics("history", { fingerprint: query.fingerprint }), { every: pace() });
  const items = [
    { label: "Calls", value: count(query.calls), note: query.errors > 0 ? `${plural(query.errors, "error")}` : "no errors" },
    { label: "Time in all", value: ms(query.total_ms), note: `${percent(query.share)} of all queries` },
    { label: "Mean", value: ms(query.mean_ms) },
    { label: "p95", value: ms(query.p95_ms) },
    { label: "Max", value: ms(query.max_ms) },
  ];
  return html`
    <div class="stack">
      <${Card} title=${query.system} note=${html`Seen last <${Time} at=${query.last_seen_at} />${query.first_seen_at && html`, first <${Time} at=${query.first_seen_at} />`} `} aside=${html`<${Copy} text=${query.text} label="Copy query" />`}>
        <pre class="code" tabindex="0" role="region" aria-label="Text of the query">${inLines(query.text)}</pre>
        ${query.repeated_in_requests > 0 && html`<p class="advice"><${RepeatedNote} query=${query} /> They asked it five times or more each, with other values: one query with <code>IN</code> or a join could ask for all at once.</p>`}
      </${Card}>
      <${Figures} items=${items} />
      <${Loaded} poll=${history} lines=${6}>
        ${(data) => html`
          <div class="columns-2">
            <${LatencyCard} history=${data} title="Time of a call" />
            <${TrafficCard} history=${data} title="Calls and errors" unit="call" />
          </div>`}
      </${Loaded}>
      <div class="columns-2">
        <${UsedBy} query=${query} />
        <div class="stack">
          <${Example} example=${query.example} />
          ${query.server && html`<${Server} server=${query.server} />`}
        </div>
      </div>
    </div>`;
}

function UsedBy({ query }) {
  const all = query.used_by.reduce((sum, user) => sum + user.total_ms, 0) || 1;
  const columns = [
    { name: "endpoint", label: "Endpoint", lead: true, value: (row) => row.endpoint ?? row.service, cell: (row) => html`<${EndpointLink} of=${row} />` },
    { name: "calls", label: "Calls", numeric: true, value: (row) => row.calls, cell: (row) => count(row.calls) },
    { name: "mean", label: "Mean", numeric: true, value: (row) => row.total_ms / row.calls, cell: (row) => ms(row.total_ms / row.calls) },
    { name: "total_ms", label: "Total", numeric: true, value: (row) => row.total_ms, cell: (row) => html`<div class="share">${ms(row.total_ms)} <span class="faint">${percent(row.total_ms / all)}</span><${Bar} part=${row.total_ms / all} /></div>` },
  ];
  return html`
    <${Card} flush title="Used by">
      ${query.used_by.length > 0
        ? html`<${Table} caption="Who asks this query" columns=${columns} rows=${query.used_by} rowKey=${(row) => `${row.service} ${row.method} ${row.endpoint}`} sort="-total_ms" />`
        : html`<${Empty} title="Nobody known">No request of its trace has come.</${Empty}>`}
    </${Card}>`;
}

function Example({ example }) {
  if (!example) return null;
  return html`
    <${Card} title="Slowest call">
      <dl class="facts">
        <dt>Took</dt><dd><strong>${ms(example.execution_time_ms)}</strong>, <${Time} at=${example.occurred_at} /></dd>
        <dt>Rows</dt><dd>${count(example.rows_returned)}</dd>
        <dt>Asked by</dt><dd><${EndpointLink} of=${example} /></dd>
        ${example.error && html`<dt>Error</dt><dd class="tone-bad">${example.error}</dd>`}
        <dt>Trace</dt><dd>${example.trace_id ? html`<code>${example.trace_id}</code> <${Copy} text=${example.trace_id} />` : NONE}</dd>
      </dl>
    </${Card}>`;
}

/** What the database itself counted. */
function Server({ server }) {
  return html`
    <${Card} title="As the database counts" note=${server.databases.join(", ")}>
      <dl class="facts">
        <dt>Calls</dt><dd>${count(server.calls)}</dd>
        <dt>Mean</dt><dd>${ms(server.mean_ms)}</dd>
        <dt>Rows a call</dt><dd>${server.rows_per_call.toFixed(1)}</dd>
        <dt>Blocks a call</dt><dd>${server.blocks_per_call.toFixed(1)}</dd>
        <dt>From memory</dt><dd>${percent(server.hit_rate)}</dd>
      </dl>
    </${Card}>`;
}
