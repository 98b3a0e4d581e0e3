// One endpoint: how it went, what changed, and what makes it slow.

import { html } from "../vendor/htm-preact.js";
import { AlertList, worstFirst } from "../lib/alerts.js";
import { hoursBack, params } from "../lib/asked.js";
import { Change, Figures } from "../lib/figures.js";
import { Findings, marker } from "../lib/findings.js";
import { count, ms, percent, plural } from "../lib/format.js";
import { LatencyCard, TrafficCard, useColumns } from "../lib/history.js";
import { usePoll } from "../lib/live.js";
import { askedMetrics, pace, Page, rangeWords } from "../lib/page.js";
import { columns, queryKey } from "../lib/queries.js";
import { SlowRequests } from "../lib/slow-requests.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded } from "../lib/ui.js";
import { href, hrefHere, useLocation } from "../lib/url.js";

export default function Endpoint() {
  const { params: now } = useLocation();
  const of = { service: now.get("service"), method: now.get("method"), endpoint: now.get("endpoint") };
  const trail = html`<a href=${href("/endpoints")}>Endpoints</a> / <a href=${href("/endpoints", { service: of.service })}>${of.service}</a>`;
  if (!of.service || !of.method || !of.endpoint) {
    return html`<${Page} title="Endpoint"><${Empty} title="No endpoint is named in this address">Choose one <a href=${href("/endpoints")}>in the list</a>.</${Empty}></${Page}>`;
  }
  return html`
    <${Page} title="${of.method} ${of.endpoint}" trail=${trail} filters=${["tenant", "time"]}>
      <${Charts} of=${of} />
      <${Alerts} of=${of} />
      <${Queries} of=${of} />
      <${Slow} of=${of} />
    </${Page}>`;
}

function Charts({ of }) {
  const only = { method: of.method, endpoint: of.endpoint };
  const timing = usePoll(askedMetrics("endpoints", { ...only, limit: 50 }), { every: pace() });
  const history = usePoll(askedMetrics("history", only), { every: pace() });
  const trends = usePoll(`/performance/trends?${new URLSearchParams({ hours: hoursBack(), service: of.service, endpoint: `${of.method} ${of.endpoint}` })}`, { every: 60_000 });
  const found = trends.data?.items ?? [];
  const markersOf = (metric) => found.filter((finding) => finding.metric === metric && finding.since >= history.data.since).map(marker);
  const row = timing.data?.items.find((item) => item.method === of.method && item.endpoint === of.endpoint);
  return html`
    <div class="stack">
      <${Loaded} poll=${timing} lines=${3}>
        ${() => (row ? html`<${Numbers} row=${row} history=${history.data} />` : html`<${Missing} />`)}
      </${Loaded}>
      <${Loaded} poll=${history} lines=${8}>
        ${(data) => html`
          <div class="columns-2">
            <${LatencyCard} history=${data} markers=${markersOf("response_time_ms")} />
            <${TrafficCard} history=${data} markers=${markersOf("error_rate")} />
          </div>`}
      </${Loaded}>
      <${Findings} findings=${found} />
    </div>`;
}

function Missing() {
  return html`
    <${Card}>
      <${Empty} title="No requests ${rangeWords()}">
        <a href=${hrefHere({ hours: 168, since: null, until: null, tenant: null })}>Look at the last 7 days</a>
      </${Empty}>
    </${Card}>`;
}

function Numbers({ row, history }) {
  const over = useColumns(history);
  const changed = (name, format, moreIsWorse = true) =>
    row.before && html`<${Change} after=${row[name]} before=${row.before[name]} format=${format} moreIsWorse=${moreIsWorse} />`;
  const items = [
    { label: "Requests", value: count(row.count), change: changed("count", count, false), values: over.count },
    { label: "Errors", value: percent(row.error_rate), change: changed("error_rate", percent), note: plural(row.errors, "request"), values: over.errorRate, tone: row.error_rate >= 0.05 ? "tone-bad" : "" },
    { label: "Mean", value: ms(row.mean_ms), change: changed("mean_ms", ms), note: `± ${ms(row.stddev_ms)}` },
    { label: "p50", value: ms(row.p50_ms), values: over.p50 },
    { label: "p95", value: ms(row.p95_ms), change: changed("p95_ms", ms), values: over.p95 },
    { label: "p99", value: ms(row.p99_ms), note: `max ${ms(row.max_ms)}`, values: over.p99 },
    { label: "Time in queries", value: percent(row.database_share), note: "of response time" },
  ];
  return html`<${Figures} items=${items} />`;
}

function Alerts({ of }) {
  const query = new URLSearchParams({ service: of.service, hours: Math.max(hoursBack(), 24), limit: 200 });
  if (params().get("tenant")) query.set("tenant", params().get("tenant"));
  const poll = usePoll(`/performance/alerts?${query}`, { every: 15_000 });
  // Rules name an endpoint with its method, and others without.
  const own = (poll.data?.items ?? []).filter((alert) => [of.endpoint, `${of.method} ${of.endpoint}`].includes(alert.endpoint));
  const open = worstFirst(own.filter((alert) => alert.status !== "resolved"));
  const over = own.filter((alert) => alert.status === "resolved").slice(0, 5);
  if (own.length === 0) return null;
  return html`<${Card} title="Alerts" note="Open, and resolved in this time"><${AlertList} alerts=${[...open, ...over]} /></${Card}>`;
}

const shown = [columns.text, columns.calls, columns.total, columns.mean, columns.p95, columns.max, columns.errors];

function Queries({ of }) {
  const poll = usePoll(askedMetrics("slow-queries", { method: of.method, endpoint: of.endpoint, threshold_ms: 0, limit: 50 }), { every: Math.max(pace(), 10_000) });
  return html`
    <${Card} flush title="Its queries" note="Those that cost most first, with what they cost here and elsewhere">
      <${Loaded} poll=${poll} lines=${4}>
        ${({ items }) => (items.length > 0
          ? html`<${Table} caption="Queries of this endpoint" columns=${shown} rows=${items} rowKey=${queryKey} sort="-total_ms" param="queries" />`
          : html`<${Empty} title="No queries known">They come with OpenTelemetry: database spans of the same trace as the request.</${Empty}>`)}
      </${Loaded}>
    </${Card}>`;
}

function Slow({ of }) {
  const poll = usePoll(askedMetrics("slow-requests", { method: of.method, endpoint: of.endpoint, threshold_ms: 50, limit: 20 }), { every: Math.max(pace(), 10_000) });
  return html`
    <${Card} flush title="Slowest requests" note="At most 20, of 50 ms and more">
      <${Loaded} poll=${poll} lines=${4}>
        ${({ items }) => (items.length > 0
          ? html`<${SlowRequests} items=${items} isOfOne />`
          : html`<${Empty} title="No request took 50 ms or more">Quicker ones are counted, and not kept one by one.</${Empty}>`)}
      </${Loaded}>
    </${Card}>`;
}
