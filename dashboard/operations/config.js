// Settings that change while Dogwatch runs.

import { html, useState } from "../vendor/htm-preact.js";
import { patch } from "../lib/api.js";
import { words } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Button, Card, ErrorNote, Loaded, Time, say } from "../lib/ui.js";
import { useWhyNot } from "./actions.js";

const SECTIONS = [["jobs.thresholds.", "When an alert is raised"], ["monitoring.", "What is slow, and what is stored"], ["jobs.", "Data and trends"]];
const LABELS = {
  "jobs.thresholds.window_minutes": "Rules look at the last",
  "jobs.thresholds.cpu_percent": "CPU use of a host above",
  "jobs.thresholds.memory_percent": "Memory use of a host above",
  "jobs.thresholds.disk_percent": "Disk use above",
  "jobs.thresholds.error_rate_percent": "Error rate of a service above",
  "jobs.thresholds.response_time_ms": "p95 of an endpoint above",
  "jobs.thresholds.trend_change_percent": "Trend: worse for good by",
  "jobs.thresholds.limit_in_hours": "Disk or memory: full within",
  "jobs.thresholds.min_requests": "Not with fewer than",
  "jobs.retention_days": "Data is kept for",
  "jobs.trend_min_change_percent": "Smallest change that is a trend",
  "monitoring.enabled": "What services send is stored",
  "monitoring.slow_query_ms": "A query is slow from",
  "monitoring.slow_request_ms": "A request is slow from",
  "monitoring.log_ms": "Logged when it takes",
};
const UNITS = { percent: "%", milliseconds: "ms" };

const sectionOf = (name) => SECTIONS.find(([prefix]) => name.startsWith(prefix)) ?? ["", "More"];
const label = (name) => LABELS[name] ?? words(name.slice(sectionOf(name)[0].length));
const unitOf = (setting) => UNITS[setting.unit] ?? setting.unit;
const shown = (value) => (typeof value === "boolean" ? (value ? "on" : "off") : String(value));

export function ConfigCards() {
  const poll = usePoll("/performance/config", { every: 15_000 });
  return html`
    <${Loaded} poll=${poll} lines=${8}>
      ${({ settings }) => {
        const sections = [...new Set(settings.map((setting) => sectionOf(setting.name)[1]))];
        return html`<div class="settings-columns">${sections.map((section) => html`
          <${Card} key=${section} title=${section}>
            <div class="settings">${settings.filter((setting) => sectionOf(setting.name)[1] === section).map((setting) => html`<${Setting} key=${setting.name} setting=${setting} refresh=${poll.refresh} />`)}</div>
          </${Card}>`)}</div>`;
      }}
    </${Loaded}>`;
}

/** One setting. What somebody writes stays until it is stored or taken back, whatever comes from the server meanwhile. */
function Setting({ setting, refresh }) {
  const whyNot = useWhyNot("admin");
  const [draft, setDraft] = useState(null);
  const [error, setError] = useState(null);
  const isSwitch = typeof setting.default === "boolean";
  const isChanged = setting.value !== setting.default;
  const isDirty = draft !== null && draft !== shown(setting.value);

  async function store(value) {
    setError(null);
    try {
      await patch("/performance/config", { [setting.name]: value });
    } catch (problem) {
      setError(problem);
      return;
    }
    setDraft(null);
    const now = value === null ? `${shown(setting.default)}, as the file says` : shown(value);
    say(`Stored. ${label(setting.name)}: ${now}.`);
    refresh();
  }

  const save = (event) => {
    event.preventDefault();
    return store(isSwitch ? draft === "on" : Number(draft));
  };

  const control = isSwitch
    ? html`<select id=${setting.name} value=${draft ?? shown(setting.value)} disabled=${Boolean(whyNot)} onChange=${(event) => setDraft(event.target.value)}>
        ${["on", "off"].map((word) => html`<option value=${word} selected=${word === (draft ?? shown(setting.value))}>${word}</option>`)}
      </select><span class="setting-unit"></span>`
    : html`<input id=${setting.name} type="number" step="any" min="0" required value=${draft ?? shown(setting.value)} disabled=${Boolean(whyNot)} onInput=${(event) => setDraft(event.target.value)} />
      <span class="faint setting-unit">${unitOf(setting)}</span>`;
  return html`
    <form class="setting" onSubmit=${save}>
      <label for=${setting.name} title=${setting.name}>${label(setting.name)}</label>
      <span class="setting-control">${control}</span>
      <span class="setting-actions">
        ${isDirty && html`<button type="submit" class="button primary small">Save</button><${Button} kind="quiet small" onClick=${() => { setDraft(null); setError(null); }}>Undo</${Button}>`}
        ${!isDirty && isChanged && html`<${Button} kind="small" why=${whyNot} aria-label="Reset ${label(setting.name)}" onClick=${() => store(null)}>Reset to ${shown(setting.default)}</${Button}>`}
      </span>
      ${setting.changed_at && isChanged && html`<span class="note setting-note">changed by ${setting.changed_by}, <${Time} at=${setting.changed_at} />; the file says ${shown(setting.default)}${unitOf(setting) ? ` ${unitOf(setting)}` : ""}</span>`}
      <${ErrorNote} error=${error} />
    </form>`;
}
