// Services: how each is, what its last check found, and how much of the time it was up.

import { html } from "../vendor/htm-preact.js";
import { count, ms, plural, words } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Page } from "../lib/page.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded, StatusBadge, Time } from "../lib/ui.js";
import { href, useLocation } from "../lib/url.js";
import { Tabs } from "../operations/parts.js";

const RANKS = { unhealthy: 3, degraded: 2, unknown: 1, healthy: 0 };
const STATES = ["unhealthy", "degraded", "unknown", "healthy"];
const EXAMPLE = `[[services]]
name = "shop"
url = "https://shop.example.com/healthz"
interval = "30s"`;

export default function Services() {
  const poll = usePoll("/performance/services/health");
  const alerts = usePoll("/performance/alerts?status=open&limit=500");
  const state = useLocation().params.get("state");
  return html`
    <${Page} title="Services">
      <${Loaded} poll=${poll} lines=${8}>
        ${({ items }) => html`
          <section class="card flush" aria-label="Services">
            <div class="toolbar">
              <${Tabs} name="state" label="State" items=${[["", "All", items.length], ...STATES.map((one) => [one, words(one), items.filter((item) => item.state === one).length])]} />
            </div>
            <${List} items=${state ? items.filter((item) => item.state === state) : items} alerts=${alerts.data?.items ?? []} isFiltered=${Boolean(state)} />
          </section>`}
      </${Loaded}>
      <${Silent} items=${(poll.data?.items ?? []).filter((item) => item.kind === "heartbeat" && !item.last_ok_at)} />
    </${Page}>`;
}

function List({ items, alerts, isFiltered }) {
  if (items.length === 0) {
    return isFiltered
      ? html`<${Empty} title="No service is in this state">Choose another above.</${Empty}>`
      : html`<${Empty} title="No service is checked yet" example=${EXAMPLE}>Add those that matter to <code>dogwatch.toml</code>, and start Dogwatch again:</${Empty}>`;
  }
  const openOf = (item) => alerts.filter((alert) => alert.service === item.service).length;
  const columns = [
    { name: "state", label: "State", value: (item) => RANKS[item.state], cell: (item) => html`<div><${StatusBadge} state=${item.state} /><div class="note nowrap">since <${Time} at=${item.state_since} /></div></div>` },
    { name: "service", label: "Service", lead: true, value: (item) => item.service, cell: (item) => html`<${Name} item=${item} open=${openOf(item)} />` },
    { name: "latency", label: "Latency", numeric: true, value: (item) => latency(item), cell: (item) => ms(latency(item)) },
    { name: "checked", label: "Last check", wide: true, value: (item) => item.last_checked_at, cell: (item) => html`<${LastCheck} item=${item} />` },
    uptimeColumn("uptime_24h", "24 h", "last 24 hours"),
    uptimeColumn("uptime_7d", "7 d", "last 7 days"),
    uptimeColumn("uptime_30d", "30 d", "last 30 days"),
  ];
  return html`<div class="lead-first services"><${Table} caption="Services" columns=${columns} rows=${items} rowKey=${(item) => item.service} sort="-state" /></div>`;
}

/** Nothing answers a heartbeat, so nothing takes time. */
const latency = (item) => (item.kind === "heartbeat" ? null : item.response_time_ms);

function Name({ item, open }) {
  return html`
    <a class="lead-line" href=${href("/", { service: item.service })} title="Requests of ${item.service}">${item.service}</a>
    <div class="note clip">${item.kind === "heartbeat" ? "heartbeat" : html`${item.kind} · ${item.target}`}</div>
    ${item.needs?.length > 0 && html`<div class="note">needs ${item.needs.join(", ")}</div>`}
    ${open > 0 && html`<a class="note alert-link" href=${href("/alerts", { service: item.service })}>${plural(open, "open alert")}</a>`}`;
}

function LastCheck({ item }) {
  const isHeartbeat = item.kind === "heartbeat";
  const when = isHeartbeat
    ? item.last_ok_at && html`heard <${Time} at=${item.last_ok_at} />`
    : html`<${Time} at=${item.last_checked_at} />`;
  const notes = [
    item.consecutive_failures > 1 && `${count(item.consecutive_failures)} failures in a row`,
    item.consecutive_failures > 0 && !isHeartbeat && (item.last_ok_at ? html`last well <${Time} at=${item.last_ok_at} />` : "never well"),
    item.last_recovery && recoveryWords(item.last_recovery),
  ].filter(Boolean);
  return html`
    <div>
      ${when}
      ${item.error && html`<div class="check-error">${item.error}</div>`}
      ${notes.length > 0 && html`<div class="note">${notes.map((note, index) => html`${index > 0 ? ", " : ""}${note}`)}</div>`}
    </div>`;
}

/** The last attempt to bring a service back, and whether it helped. */
function recoveryWords({ began_at, kind, done, error, recovered_at }) {
  const outcome = recovered_at ? `well again after ${ms(Date.parse(recovered_at) - Date.parse(began_at))}`
    : done === false ? `failed: ${error}` : "not well yet";
  return html`recovery by ${kind} <${Time} at=${began_at} />, ${outcome}`;
}

/** Rounded down: what was not always up never looks as if it was. */
function uptimeText(part) {
  if (part === null || part === undefined) return "–";
  return part === 1 ? "100%" : `${(Math.floor(part * 10_000) / 100).toFixed(part < 0.9 ? 1 : 2)}%`;
}

const uptimeTone = (part) => (part >= 0.999 ? "good" : part >= 0.98 ? "warn" : "bad");

function uptimeColumn(name, label, spoken) {
  return {
    name, label: `Up ${label}`, title: `How much of the ${spoken} it was up`, numeric: true, value: (item) => item[name],
    cell: (item) => html`<${Uptime} part=${item[name]} />`,
  };
}

function Uptime({ part }) {
  if (part === null || part === undefined) return html`<span class="faint" title="Not checked in this time">–</span>`;
  return html`
    <div class="uptime">
      ${uptimeText(part)}
      <svg class="uptime-bar tone-${uptimeTone(part)}" viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true">
        <rect class="bar-all" width="100" height="5" /><rect width=${part * 100} height="5" fill="currentColor" />
      </svg>
    </div>`;
}

/** Heartbeats that were never heard: how to send one. */
function Silent({ items }) {
  if (items.length === 0) return null;
  const example = `curl -X POST ${location.origin}/api/v1/heartbeats/${items[0].service} -H 'authorization: Bearer dw_…'`;
  return html`
    <${Card} title="Never heard">
      <${Empty} title=${items.map((item) => item.service).join(", ")} example=${example}>A service with <code>heartbeat:</code> has to call at least once in its interval, with a key that has the scope <code>ingest</code>:</${Empty}>
    </${Card}>`;
}
