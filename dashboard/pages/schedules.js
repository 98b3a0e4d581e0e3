// Schedules: what runs when, how it fared, and running one now.

import { html, useState } from "../vendor/htm-preact.js";
import { post } from "../lib/api.js";
import { clockWithSeconds, exact, shortTime } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Page } from "../lib/page.js";
import { Table } from "../lib/table.js";
import { Button, Empty, Loaded, StatusBadge, Time, say } from "../lib/ui.js";
import { href } from "../lib/url.js";
import { useWhyNot } from "../operations/actions.js";
import { cadenceInWords } from "../operations/cadence.js";
import { jobHref } from "../operations/job-parts.js";

const EXAMPLE = `[schedules.nightly_report]
job = "generate_performance_report"
cron = "0 6 * * *"
args = { hours = 24 }`;

export default function Schedules() {
  const poll = usePoll("/schedules");
  /** The jobs that were made here, by schedule. */
  const [made, setMade] = useState({});

  async function run(schedule) {
    const job = await post(`/schedules/${encodeURIComponent(schedule.name)}/run`);
    setMade((old) => ({ ...old, [schedule.name]: { id: job.id, queue: schedule.queue } }));
    say(job.is_new ? `${schedule.name} waits for a worker.` : `${schedule.name} was not enqueued again: a job with its key waits or runs.`, job.is_new ? "good" : "bad");
    poll.refresh();
  }

  const columns = [
    { name: "name", label: "Schedule", lead: true, value: (schedule) => schedule.name, cell: (schedule) => html`<${Name} schedule=${schedule} />` },
    { name: "when", label: "When", value: (schedule) => schedule.when, cell: (schedule) => html`<${When} when=${schedule.when} />` },
    { name: "next", label: "Next", value: (schedule) => (schedule.enabled ? schedule.next[0] : null), cell: (schedule) => html`<${Next} schedule=${schedule} />` },
    { name: "last", label: "Last time", value: (schedule) => schedule.last_run?.at, cell: (schedule) => html`<${LastRun} run=${schedule.last_run} name=${schedule.name} />` },
    { name: "success", label: "Last success", title: "When its job succeeded last, whoever enqueued it", value: (schedule) => schedule.last_success_at, cell: (schedule) => html`<${Time} at=${schedule.last_success_at} none="unknown" />` },
    { name: "actions", label: "", numeric: true, cell: (schedule) => html`<${Run} schedule=${schedule} made=${made[schedule.name]} run=${run} />` },
  ];
  return html`
    <${Page} title="Schedules">
      <section class="card flush" aria-label="Schedules">
        <${Loaded} poll=${poll} lines=${8}>
          ${({ items }) => (items.length === 0
            ? html`<${Empty} title="Nothing is scheduled" example=${EXAMPLE}>Write what runs when into <code>schedules.toml</code>; it is read again within seconds:</${Empty}>`
            : html`<${Table} caption="Schedules" columns=${columns} rows=${items} rowKey=${(schedule) => schedule.name} />`)}
        </${Loaded}>
      </section>
    </${Page}>`;
}

function Name({ schedule }) {
  const args = JSON.stringify(schedule.args);
  return html`
    <a class="lead-line" href=${href("/jobs", { state: "all", job: schedule.job })} title="Jobs of this name">${schedule.name}</a>
    ${!schedule.enabled && html` <${StatusBadge} state="off" />`}
    ${schedule.job !== schedule.name && html`<div class="note">runs ${schedule.job}</div>`}
    ${args !== "{}" && html`<div class="note mono clip" title=${args}>${args}</div>`}
    ${schedule.queue !== "default" && html`<div class="note">queue ${schedule.queue}</div>`}`;
}

function When({ when }) {
  const words = cadenceInWords(when);
  if (!words) return html`<code>${when}</code>`;
  return html`<div>${words}${!when.startsWith("every ") && html`<div class="note mono">${when}</div>`}</div>`;
}

function Next({ schedule }) {
  if (!schedule.enabled) return html`<span class="faint">not while it is off</span>`;
  if (schedule.next.length === 0) return html`<span class="faint">never</span>`;
  const [first, ...later] = schedule.next;
  // What comes every few seconds needs seconds to be told apart.
  const isFrequent = later.length > 0 && Date.parse(later[0]) - Date.parse(first) < 60_000;
  const clock = (time) => (isFrequent ? clockWithSeconds(time) : shortTime(time));
  return html`
    <div><${Time} at=${first} />
      ${later.length > 0 && html`<div class="note">${[first, ...later].map((time, index) => html`${index > 0 ? ", " : ""}<time datetime=${time} title=${exact(time)}>${clock(time)}</time>`)}</div>`}
    </div>`;
}

function LastRun({ run, name }) {
  if (!run) return html`<span class="faint">none yet</span>`;
  const isSkipped = run.outcome === "skipped";
  return html`
    <div>
      <${StatusBadge} state=${run.outcome} tone=${isSkipped ? "warn" : "good"} />
      <div class="note">${run.job_id && !isSkipped
        ? html`<a href=${jobHref({ id: run.job_id, queue: run.queue })}><${Time} at=${run.at} /><span class="visually-hidden">, the job of ${name}</span></a>`
        : html`<${Time} at=${run.at} />`}</div>
      ${isSkipped && html`<div class="note">${run.reason} ${run.job_id && html`<a href=${jobHref({ id: run.job_id, queue: run.queue })}>(the run before)</a>`}</div>`}
    </div>`;
}

function Run({ schedule, made, run }) {
  const whyNot = useWhyNot();
  return html`
    <div class="row-actions">
      ${made && html`<a href=${jobHref(made)}>Job ${made.id.slice(-8)}</a>`}
      <${Button} kind="small" why=${whyNot} aria-label="Run ${schedule.name} now" onClick=${() => run(schedule)}>Run now</${Button}>
    </div>`;
}
