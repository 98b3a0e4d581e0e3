// Alerts: what is and was wrong, who has seen it, and what is silenced.

import { html } from "../vendor/htm-preact.js";
import { hoursBack } from "../lib/asked.js";
import { count, plural } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Page, rangeWords } from "../lib/page.js";
import { Table } from "../lib/table.js";
import { Card, Empty, ErrorNote, Skeleton, StatusBadge, Time } from "../lib/ui.js";
import { href, hrefHere, useLocation, useParam } from "../lib/url.js";
import { KeyHints, usePageKeys, useWhyNot } from "../operations/actions.js";
import { ACTIONS, useAlertActions } from "../operations/alert-actions.js";
import { AlertButtons, AlertNotes, AlertStatus, Measured, severityRank } from "../operations/alert-parts.js";
import { Choice, Tabs } from "../operations/parts.js";
import { SilencesCard, silenceOf } from "../operations/silences.js";

const STATUSES = [["open", "Open"], ["active", "Active"], ["acknowledged", "Acknowledged"], ["pending", "Pending"], ["resolved", "Resolved"], ["all", "All"]];
const SEVERITIES = [["", "All severities"], ["critical", "Critical"], ["high", "High"], ["medium", "Medium"], ["low", "Low"]];
const LIMIT = 500;

const EXAMPLE = `curl -X POST ${location.origin}/api/v1/performance/alerts \\
  -H 'content-type: application/json' -H 'authorization: Bearer dw_…' \\
  -d '{"alert_type": "payment_failures", "service": "shop", "severity": "high", "value": 12.4, "threshold": 5, "unit": "percent"}'`;

/** The path of one list; what is open is open now, whatever the window. */
function listOf(status, params) {
  const query = new URLSearchParams({ limit: LIMIT });
  if (status) query.set("status", status);
  for (const name of ["service", "tenant", "severity", "cursor"]) if (params.get(name)) query.set(name, params.get(name));
  if (status === "resolved" || status === null) query.set("hours", hoursBack(params));
  return `/performance/alerts?${query}`;
}

/** All alerts of a choice. */
function useAlerts(status, params) {
  const poll = usePoll(listOf(status === "all" ? null : status, params));
  return { ...poll, items: poll.data?.items ?? null, next: poll.data?.next_cursor };
}

const text = (alert) => [alert.title, alert.description, alert.alert_type, alert.service, alert.endpoint, alert.host, alert.note, ...Object.values(alert.labels)].join(" ").toLowerCase();

export default function Alerts() {
  const { params } = useLocation();
  const status = STATUSES.some(([one]) => one === params.get("status")) ? params.get("status") : "open";
  const [severity, setSeverity] = useParam("severity");
  const [search, setSearch] = useParam("q");
  const alerts = useAlerts(status, params);
  const silences = usePoll("/performance/silences");
  const refresh = () => { alerts.refresh(); silences.refresh(); };
  const [dialog, ask] = useAlertActions(refresh);
  useRowKeys(alerts.items, ask);

  const hasTime = status === "resolved" || status === "all";
  const shown = (alerts.items ?? []).filter((alert) => text(alert).includes(search.trim().toLowerCase()));
  return html`
    <${Page} title="Alerts" filters=${hasTime ? ["service", "tenant", "time"] : ["service", "tenant"]}>
      <section class="card flush" aria-label="Alerts">
        <div class="toolbar">
          <${Tabs} name="status" label="Status" items=${STATUSES} reset=${["cursor"]} />
          <${Choice} label="Severity" value=${severity} set=${setSeverity} options=${SEVERITIES} />
          <label class="search"><span class="visually-hidden">Search in alerts</span>
            <input type="search" data-filter value=${search} placeholder="Search" onInput=${(event) => setSearch(event.target.value)} /></label>
        </div>
        <${List} alerts=${alerts} shown=${shown} status=${status} silences=${silences.data?.items ?? []} ask=${ask} />
        <${Paging} next=${alerts.next} isPast=${params.has("cursor")} />
      </section>
      <${SilencesCard} poll=${silences} />
    </${Page}>
    ${dialog}`;
}

function List({ alerts, shown, status, silences, ask }) {
  if (alerts.items === null) return alerts.error ? html`<${ErrorNote} error=${alerts.error} onRetry=${alerts.refresh} />` : html`<${Skeleton} lines=${6} />`;
  if (shown.length === 0) return html`<${NoAlerts} status=${status} hidden=${alerts.items.length} />`;
  const columns = [
    { name: "severity", label: "Severity", value: severityRank, cell: (alert) => html`<${StatusBadge} state=${alert.severity} />` },
    { name: "title", label: "Alert", lead: true, value: (alert) => alert.title, cell: (alert) => html`<${Subject} alert=${alert} />` },
    { name: "value", label: "Value / threshold", numeric: true, cell: (alert) => html`<${Measured} alert=${alert} />` },
    { name: "raised", label: "Raised", value: (alert) => alert.raised_at, cell: (alert) => html`<div><${Time} at=${alert.raised_at} none="not yet" /><div class="note nowrap">last seen <${Time} at=${alert.last_seen_at} /></div></div>` },
    { name: "times", label: "Seen", title: "How often its condition was seen", numeric: true, value: (alert) => alert.occurrences, cell: (alert) => `${count(alert.occurrences)} ×` },
    { name: "status", label: "Status", wide: true, value: (alert) => alert.status, cell: (alert) => html`<div><${AlertStatus} alert=${alert} /><${AlertNotes} alert=${alert} silence=${silenceOf(alert, silences)} /></div>` },
    { name: "actions", label: "", cell: (alert) => html`<${AlertButtons} alert=${alert} ask=${ask} />` },
  ];
  return html`
    <div class="lead-first ${alerts.isOld ? "is-old" : ""}">
      <${Table} caption="Alerts" columns=${columns} rows=${shown} rowKey=${(alert) => alert.id} sort=${status === "open" || status === "active" ? "-severity" : ""} />
      <${KeyHints} keys=${{ "j k": "next, previous alert", ...Object.fromEntries(ACTIONS.map((action) => [action.key, action.label.toLowerCase()])) }} />
    </div>`;
}

function Subject({ alert }) {
  const place = [alert.service, alert.endpoint, alert.host, alert.tenant && `tenant ${alert.tenant}`].filter(Boolean).join(" · ");
  return html`
    <a class="lead-line" data-alert=${alert.id} href=${href("/alert", { id: alert.id })}>${alert.title}</a>
    ${alert.description && html`<div class="soft clip" title=${alert.description}>${alert.description}</div>`}
    ${place && html`<div class="note">${place}</div>`}`;
}

function NoAlerts({ status, hidden }) {
  if (hidden > 0) return html`<${Empty} title="No alert fits">${plural(hidden, "alert")} with other severities or words. <a href=${hrefHere({ severity: null, q: null })}>Show all</a></${Empty}>`;
  if (status === "resolved" || status === "all") return html`<${Empty} title="No alerts ${rangeWords()}">Choose a longer time above.</${Empty}>`;
  return html`
    <${Empty} title=${status === "open" || status === "active" ? "All is well: no alert is open" : `No alert is ${status}`} example=${status === "open" ? EXAMPLE : undefined}>
      ${status === "open" && html`Rules raise alerts by themselves; a service can raise its own:`}
    </${Empty}>`;
}

function Paging({ next, isPast }) {
  if (!next && !isPast) return null;
  return html`
    <nav class="paging" aria-label="Pages of the list">
      ${isPast && html`<a href=${hrefHere({ cursor: null })}>Newest</a>`}
      ${next && html`<a href=${hrefHere({ cursor: next })}>Older</a>`}
    </nav>`;
}

/** `j` and `k` go from alert to alert; the keys of the actions act on the one that has the focus. */
function useRowKeys(items, ask) {
  const whyNot = useWhyNot("alerts");
  const links = () => [...document.querySelectorAll("[data-alert]")];
  const current = () => document.activeElement.closest("tr")?.querySelector("[data-alert]");
  const move = (by) => () => {
    const all = links();
    const index = all.indexOf(current());
    all[index < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(index + by, 0), all.length - 1)]?.focus();
  };
  const act = (action) => () => {
    const alert = items?.find((one) => one.id === current()?.dataset.alert);
    if (alert && !whyNot && action.fits(alert)) ask(action.name, alert);
  };
  usePageKeys({ j: move(1), k: move(-1), ...Object.fromEntries(ACTIONS.map((action) => [action.key, act(action)])) });
}
