// How all is, at a glance.

import { html } from "../vendor/htm-preact.js";
import { AlertList, worstFirst } from "../lib/alerts.js";
import { asked, hoursBack, params } from "../lib/asked.js";
import { columns, endpointKey } from "../lib/endpoints.js";
import { Change, Figures } from "../lib/figures.js";
import { Findings, standsForItself } from "../lib/findings.js";
import { count, ms, percent, plural } from "../lib/format.js";
import { LatencyCard, TrafficCard, useColumns } from "../lib/history.js";
import { usePoll } from "../lib/live.js";
import { pace, Page, rangeWords } from "../lib/page.js";
import { useSession } from "../lib/session.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded, StatusBadge, Time } from "../lib/ui.js";
import { href, useParam } from "../lib/url.js";

/** Which endpoints are listed, and how the API calls that order. */
const ORDERS = { busiest: "count", slowest: "p95_ms", failing: "error_rate" };
/** How many. */
const SHORT = 8;

/** What is asked at first: `src/api/preloads.rs` has the browser ask the same while the scripts are on their way. */
const asks = () => ({
  requests: asked("/performance/dashboard", { limit: SHORT, sort: ORDERS[params().get("by")] }),
  alerts: asked("/performance/alerts", { hours: null, since: null, until: null, status: "open", limit: 10 }),
});

const sendOne = (hasKey) => `curl -fsS ${location.origin}/api/v1/performance/metrics -H 'content-type: application/json' \\${
  hasKey ? "\n  -H \"Authorization: Bearer $DOGWATCH_KEY\" \\" : ""}
  -d '{"service":"shop","endpoint":"/pay","method":"POST","status_code":200,"response_time_ms":12.5}'`;

export default function Overview() {
  const session = useSession();
  const { requests, alerts: openAlerts } = asks();
  const poll = usePoll(requests, { every: pace() });
  const alerts = usePoll(openAlerts);
  const services = usePoll(session.isTenant ? null : "/performance/services/health", { every: 15_000 });
  return html`
    <${Page} title="Overview" filters=${["service", "tenant", "time"]}>
      <${Loaded} poll=${poll} lines=${12}>
        ${(data) => html`
          <div class="stack">
            ${data.summary.count === 0 ? html`<${NoRequests} />` : html`<${Requests} data=${data} />`}
            <div class=${session.isTenant ? "stack" : "columns-2"}>
              <${OpenAlerts} poll=${alerts} counts=${data.open_alerts} />
              ${session.isTenant ? null : html`<${State} poll=${services} queues=${data.queues} />`}
            </div>
          </div>`}
      </${Loaded}>
      ${session.isTenant ? null : html`<${Refusals} /><${Changes} />`}
      ${poll.data && poll.data.summary.count !== 0 && html`<${Endpoints} items=${poll.data.endpoints.items} isOld=${poll.isOld} />`}
    </${Page}>`;
}

/** What services send and Dogwatch refuses: they are missing in all that is shown. */
function Refusals() {
  const poll = usePoll("/performance/services/refusals", { every: 30_000 });
  const items = poll.data?.items ?? [];
  if (items.length === 0) return null;
  return html`
    <${Card} title="Refused exports" note="In the last ten minutes">
      <ul class="lines">${items.slice(0, 5).map((item) => html`
        <li class="tone-warn" key=${`${item.reason} ${item.service}`}>${item.service ? html`<strong>${item.service}</strong>: ` : ""}${plural(item.exports, "export")} refused: ${item.message} <span class="faint"><${Time} at=${item.last_at} /></span></li>`)}</ul>
      ${items.length > 5 && html`<p class="note">… and ${items.length - 5} more; all of them: <code>dogwatch doctor</code></p>`}
    </${Card}>`;
}

function Requests({ data }) {
  return html`
    <div class="stack">
      <${Numbers} summary=${data.summary} history=${data.history} before=${data.before} />
      <div class="columns-2">
        <${LatencyCard} history=${data.history} />
        <${TrafficCard} history=${data.history} />
      </div>
    </div>`;
}

function NoRequests() {
  return html`
    <${Card}>
      <${Empty} title="No requests ${rangeWords()}" example=${sendOne(useSession().has_key)}>
        A service with OpenTelemetry sends them by itself; one request by hand shows whether they arrive. Or choose a longer time range or fewer filters above.
      </${Empty}>
    </${Card}>`;
}

function Numbers({ summary, history, before }) {
  const over = useColumns(history);
  const minutes = (Date.parse(summary.until) - Date.parse(summary.since)) / 60_000;
  const changed = (name, format, moreIsWorse = true) =>
    before && html`<${Change} after=${summary[name]} before=${before[name]} format=${format} moreIsWorse=${moreIsWorse} />`;
  const items = [
    { label: "Requests", value: count(summary.count), change: changed("count", count, false), note: `${(summary.count / minutes).toFixed(1)} / min`, values: over.count },
    { label: "Errors", value: percent(summary.error_rate), change: changed("error_rate", percent), note: plural(summary.errors, "request"), values: over.errorRate, tone: summary.error_rate >= 0.05 ? "tone-bad" : "" },
    { label: "p50", value: ms(summary.p50_ms), change: changed("p50_ms", ms), values: over.p50 },
    { label: "p95", value: ms(summary.p95_ms), change: changed("p95_ms", ms), values: over.p95 },
    { label: "p99", value: ms(summary.p99_ms), change: changed("p99_ms", ms), values: over.p99 },
    { label: "Time in queries", value: percent(summary.database_share), change: changed("database_share", percent, false), note: "of response time" },
  ];
  return html`<${Figures} items=${items} />`;
}

function OpenAlerts({ poll, counts }) {
  const aside = html`
    <span class="badges">${["critical", "high", "medium", "low"].filter((severity) => counts?.[severity] > 0).map((severity) =>
      html`<${StatusBadge} state=${severity} label="${counts[severity]} ${severity}" />`)}</span>`;
  return html`
    <${Card} title="Open alerts" aside=${aside}>
      <${Loaded} poll=${poll} lines=${4}>
        ${({ items }) => (items.length === 0
          ? html`<p class="calm"><${StatusBadge} state="resolved" label="Nothing is wrong" /></p>`
          : html`
            <${AlertList} alerts=${worstFirst(items).slice(0, 6)} />
            ${items.length > 6 && html`<p class="more"><a href=${href("/alerts")}>All open alerts</a></p>`}`)}
      </${Loaded}>
    </${Card}>`;
}

const WORST_FIRST = ["unhealthy", "degraded", "unknown", "healthy"];
const worst = (services) => [...services].sort((a, b) => WORST_FIRST.indexOf(a.state) - WORST_FIRST.indexOf(b.state));

/** Checked services, and the queues of Dogwatch itself. */
function State({ poll, queues }) {
  return html`
    <${Card} title="Services" aside=${html`<a href=${href("/services")}>All services</a>`}>
      <${Loaded} poll=${poll} lines=${3}>
        ${({ items }) => html`
          <ul class="lines">
            ${worst(items).slice(0, 5).map((service) => html`
              <li key=${service.service}>
                <${StatusBadge} state=${service.state} />
                <span class="lines-main">${service.service}${service.error && service.state !== "healthy" && html` <span class="note">${service.error}</span>`}</span>
                <span class="note nowrap">${ms(service.response_time_ms)}</span>
              </li>`)}
          </ul>`}
      </${Loaded}>
      ${queues && html`<h3 class="sub-head">Queues</h3><ul class="lines">${queues.map((queue) => html`<${Queue} queue=${queue} />`)}</ul>`}
    </${Card}>`;
}

function Queue({ queue }) {
  const state = queue.paused ? "paused" : queue.dead > 0 ? "dead" : "running";
  const parts = ["ready", "running", "scheduled", "retrying"].filter((name) => queue[name] > 0).map((name) => `${count(queue[name])} ${name}`);
  const label = state === "dead" ? `${count(queue.dead)} dead` : state === "paused" ? "Paused" : "Working";
  return html`
    <li>
      <${StatusBadge} state=${state} label=${label} />
      <a class="lines-main" href=${href("/jobs", { queue: queue.name, state: state === "dead" ? "dead" : null })}>${queue.name}</a>
      <span class="note nowrap">${parts.join(", ") || "nothing waits"}${queue.oldest_ready_ms > 5_000 ? `, oldest for ${ms(queue.oldest_ready_ms)}` : ""}</span>
    </li>`;
}

/** Of a day at least: what changed for good is no matter of the last hour. */
function Changes() {
  const poll = usePoll(asked("/performance/trends", { hours: Math.max(hoursBack(), 24), since: null, until: null }, ["service"]), { every: 60_000 });
  return html`<${Findings} findings=${(poll.data?.items ?? []).filter(standsForItself).slice(0, 6)} />`;
}

function Endpoints({ items, isOld }) {
  const [by, setBy] = useParam("by", "busiest");
  const tab = (name, label) => html`<button type="button" aria-pressed=${by === name} onClick=${() => setBy(name)}>${label}</button>`;
  const aside = html`<div class="tabs" role="group" aria-label="Endpoints by">${tab("busiest", "Busiest")}${tab("slowest", "Slowest")}${tab("failing", "Failing")}</div>`;
  const shown = [columns.endpoint, columns.count, columns.errors, columns.p50, columns.p95, columns.p99, columns.change]
    .map((column) => ({ ...column, value: column.cell ? undefined : column.value }));
  return html`
    <${Card} title="Endpoints" aside=${aside} flush>
      <div class=${isOld ? "is-old" : ""}>
        <${Table} caption="Endpoints, ${by} first" columns=${shown} rows=${items} rowKey=${endpointKey} />
        <p class="more"><a href=${href("/endpoints")}>All endpoints</a></p>
      </div>
    </${Card}>`;
}
