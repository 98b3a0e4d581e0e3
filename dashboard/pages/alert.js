// One alert: what was measured, what happened to it, and who was told.

import { html } from "../vendor/htm-preact.js";
import { count, inUnit, plural, words } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Page } from "../lib/page.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded, StatusBadge, Time } from "../lib/ui.js";
import { href, useLocation } from "../lib/url.js";
import { KeyHints, usePageKeys, useWhyNot } from "../operations/actions.js";
import { ACTIONS, useAlertActions } from "../operations/alert-actions.js";
import { AlertButtons, AlertStatus } from "../operations/alert-parts.js";
import { Facts } from "../operations/parts.js";
import { Labels, silenceOf } from "../operations/silences.js";

const trail = () => html`<a href=${href("/alerts")}>Alerts</a>`;

export default function AlertPage() {
  const id = useLocation().params.get("id");
  const poll = usePoll(id && `/performance/alerts/${encodeURIComponent(id)}`);
  const silences = usePoll("/performance/silences");
  const alert = poll.data;
  const whyNot = useWhyNot("alerts");
  const [dialog, ask] = useAlertActions(() => { poll.refresh(); silences.refresh(); });
  const act = (action) => () => alert && !whyNot && action.fits(alert) && ask(action.name, alert);
  usePageKeys(Object.fromEntries(ACTIONS.map((action) => [action.key, act(action)])));
  if (!id) return html`<${Page} title="Alert" trail=${trail()}><${Empty} title="Which alert?">Choose one in the <a href=${href("/alerts")}>list of alerts</a>.</${Empty}></${Page}>`;
  return html`
    <${Page} title=${alert?.title ?? "Alert"} trail=${trail()} actions=${alert && html`<${AlertButtons} alert=${alert} ask=${ask} kind="" />`}>
      <${Loaded} poll=${poll} lines=${10}>
        ${(alert) => html`
          <div class="columns-2 alert-page">
            <div class="stack">
              <${State} alert=${alert} silence=${silenceOf(alert, silences.data?.items ?? [])} />
              <${Card} title="Labels" note="What routes and silences go by"><${Labels} labels=${alert.labels} /></${Card}>
              ${alert.status !== "resolved" && html`<${KeyHints} keys=${Object.fromEntries(ACTIONS.map((action) => [action.key, action.label.toLowerCase()]))} />`}
            </div>
            <div class="stack">
              <${History} alert=${alert} />
              <${Told} notifications=${alert.notifications} />
            </div>
          </div>`}
      </${Loaded}>
    </${Page}>
    ${dialog}`;
}

function State({ alert, silence }) {
  const service = alert.service && html`<a href=${href("/endpoints", { service: alert.service })}>${alert.service}</a>`;
  const acknowledged = alert.acknowledged_at && html`by ${alert.acknowledged_by}, <${Time} at=${alert.acknowledged_at} />`;
  return html`
    <${Card}>
      <div class="state-line"><${StatusBadge} state=${alert.severity} /><${AlertStatus} alert=${alert} />${silence && html`<span class="soft">Silenced, ends <${Time} at=${silence.ends_at} /></span>`}</div>
      ${alert.description && html`<p class="alert-description">${alert.description}</p>`}
      ${alert.value !== null && html`
        <div class="measured">
          <div><div class="note">Value</div><div class="measured-figure">${inUnit(alert.value, alert.unit)}</div></div>
          ${alert.threshold !== null && html`<div><div class="note">Threshold</div><div class="measured-figure soft">${inUnit(alert.threshold, alert.unit)}</div></div>`}
        </div>`}
      ${alert.note && html`<blockquote class="said">${alert.note}</blockquote>`}
      <${Facts} items=${[
        ["Type", html`<code>${alert.alert_type}</code>`],
        ["Service", service],
        ["Endpoint", alert.endpoint],
        ["Host", alert.host],
        ["Tenant", alert.tenant],
        ["Seen", `${plural(alert.occurrences, "time")}`],
        ["First seen", html`<${Time} at=${alert.first_seen_at} />`],
        ["Last seen", html`<${Time} at=${alert.last_seen_at} />`],
        ["Raised", alert.raised_at && html`<${Time} at=${alert.raised_at} />`],
        ["Came back", alert.reopened > 0 ? html`${plural(alert.reopened, "time")}${alert.is_flapping ? "; it comes and goes, and is held open until it is calm" : ""}` : null],
        ["Acknowledged", acknowledged],
        ["Resolved", alert.resolved_at && html`<${Time} at=${alert.resolved_at} />`],
      ]} />
    </${Card}>`;
}

const EVENT_TONES = { raised: "bad", reopened: "bad", flapping: "warn", escalated: "warn", reminded: "mild", acknowledged: "mild", pending: "none", resolved: "good" };

function History({ alert }) {
  const events = [...alert.events].reverse();
  return html`
    <${Card} title="History" aside=${html`<span class="note">${count(events.length)} ${events.length === 1 ? "event" : "events"}</span>`}>
      <ol class="timeline">
        ${events.map((event, index) => html`
          <li key=${`${event.occurred_at} ${index}`}>
            <div class="timeline-head"><${StatusBadge} state=${event.event} tone=${EVENT_TONES[event.event]} /><span class="note"><${Time} at=${event.occurred_at} /></span></div>
            <div class="soft">${[event.actor && `by ${event.actor}`, event.value !== null && `value ${inUnit(event.value, alert.unit)}`].filter(Boolean).join(", ")}</div>
            ${event.note && html`<blockquote class="said">${event.note}</blockquote>`}
          </li>`)}
      </ol>
    </${Card}>`;
}

const NOTIFICATION_TONES = { delivered: "good", failed: "bad", sending: "mild", waiting: "mild", held: "warn", suppressed: "none" };

function Told({ notifications }) {
  const columns = [
    { name: "event", label: "What", lead: true, cell: (told) => words(told.event) },
    { name: "channel", label: "Channel", cell: (told) => html`<code>${told.channel}</code>` },
    { name: "state", label: "State", wide: true, cell: (told) => html`<div><${StatusBadge} state=${told.state} tone=${NOTIFICATION_TONES[told.state]} />${told.reason && html`<div class="note">${told.reason}</div>`}</div>` },
    { name: "attempts", label: "Attempts", numeric: true, cell: (told) => count(told.attempts) },
    { name: "at", label: "When", cell: (told) => html`<${Time} at=${told.delivered_at ?? told.created_at} />` },
  ];
  return html`
    <${Card} title="Who was told" flush=${true}>
      ${notifications.length === 0
        ? html`<${Empty} title="Nobody was told yet">Routes and channels stand in <code>dogwatch.toml</code>; <code>dogwatch channels list</code> shows them.</${Empty}>`
        : html`<${Table} caption="Who was told" columns=${columns} rows=${notifications} rowKey=${(told) => told.id} param="told" />`}
    </${Card}>`;
}
