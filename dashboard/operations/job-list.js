// A list of jobs in one state, and replaying them.

import { html, useState } from "../vendor/htm-preact.js";
import { count, plural } from "../lib/format.js";
import { Table } from "../lib/table.js";
import { Button, Empty, Loaded, say } from "../lib/ui.js";
import { href, hrefHere } from "../lib/url.js";
import { ActionDialog, DialogButton, useWhyNot } from "./actions.js";
import { JobLink, JobState, Progress, RunTime, When, attempts, jobHref, retry, retryLabel } from "./job-parts.js";

const TIME_LABELS = { running: "Runs", scheduled: "Due", retrying: "Next attempt", ready: "Waits", dead: "Died", succeeded: "Ended" };
const LIMITS = [50, 200, 1000];

export function JobList({ poll, state, limit, hasFilter }) {
  return html`
    <${Loaded} poll=${poll} lines=${6}>
      ${({ items }) => (items.length === 0
        ? html`<${NoJobs} state=${state} hasFilter=${hasFilter} />`
        : html`
          <${Bulk} items=${items} state=${state} refresh=${poll.refresh} />
          <div class="lead-first"><${Table} caption="Jobs" columns=${columnsOf(state, poll.refresh)} rows=${items} rowKey=${(job) => `${job.queue} ${job.id}`} param="order" /></div>
          ${items.length >= limit && html`<${More} limit=${limit} />`}`)}
    </${Loaded}>`;
}

function columnsOf(state, refresh) {
  const column = {
    state: { name: "state", label: "State", value: (job) => job.state, cell: (job) => html`<${JobState} state=${job.state} />` },
    job: { name: "job", label: "Job", lead: true, value: (job) => job.job, cell: (job) => html`<${Subject} job=${job} />` },
    queue: { name: "queue", label: "Queue", value: (job) => job.queue },
    progress: { name: "progress", label: "Progress", cell: (job) => html`<${Progress} value=${job.progress} />` },
    attempt: { name: "attempt", label: "Attempt", numeric: true, value: (job) => job.attempt, cell: attempts },
    took: { name: "took", label: "Took", numeric: true, value: (job) => job.started_at && job.finished_at && Date.parse(job.finished_at) - Date.parse(job.started_at), cell: (job) => html`<${RunTime} job=${job} />` },
    worker: { name: "worker", label: "Worker", value: (job) => job.worker, cell: (job) => html`<span class="mono">${job.worker}</span>` },
    when: { name: "when", label: TIME_LABELS[state] ?? "When", value: (job) => timeOf(job), cell: (job) => html`<span class="nowrap"><${When} job=${job} /></span>` },
    actions: { name: "actions", label: "", cell: (job) => html`<${Retry} job=${job} refresh=${refresh} />` },
  };
  const names = {
    running: ["job", "queue", "progress", "attempt", "worker", "when"],
    ready: ["job", "queue", "attempt", "when"],
    scheduled: ["job", "queue", "attempt", "when", "actions"],
    retrying: ["job", "queue", "attempt", "when", "actions"],
    dead: ["job", "queue", "attempt", "took", "when", "actions"],
    succeeded: ["job", "queue", "attempt", "took", "worker", "when"],
  };
  return (names[state] ?? ["state", "job", "queue", "attempt", "took", "when", "actions"]).map((name) => column[name]);
}

const timeOf = (job) => (job.state === "running" ? job.started_at : job.finished_at ?? job.run_at ?? job.enqueued_at);

/** Its name, its arguments, and what went wrong. */
function Subject({ job }) {
  const args = typeof job.args === "string" ? job.args : JSON.stringify(job.args);
  return html`
    <${JobLink} job=${job} />
    ${args !== "{}" && html`<div class="note mono clip" title=${args}>${args}</div>`}
    ${job.error && job.state !== "succeeded" && html`<div class="job-error clip" title=${job.error}>${job.error}</div>`}`;
}

function Retry({ job, refresh }) {
  const whyNot = useWhyNot();
  const label = retryLabel(job);
  if (!label) return null;
  async function run() {
    await retry(job);
    say(html`${job.job} waits for a worker. <a href=${jobHref(job)}>Look at it</a>`);
    refresh();
  }
  return html`<div class="row-actions"><${Button} kind="small" why=${whyNot} aria-label="${label}: ${job.job}" onClick=${run}>${label}</${Button}></div>`;
}

/** All that is shown, one after the other; what fails does not keep the others from it. */
function Bulk({ items, state, refresh }) {
  const whyNot = useWhyNot();
  const [done, setDone] = useState(null);
  if (state !== "dead" || items.length < 2) return null;
  async function replayAll(jobs) {
    const failed = [];
    for (const [index, job] of jobs.entries()) {
      setDone(`${index + 1} of ${jobs.length}`);
      await retry(job).catch((error) => failed.push(error));
    }
    setDone(null);
    refresh();
    if (failed.length > 0) throw Object.assign(failed[0], { title: `${failed.length} of ${jobs.length} could not be replayed` });
    say(`${plural(jobs.length, "job")} replayed.`);
  }
  return html`
    <div class="bulk">
      <${DialogButton} kind="small" why=${whyNot} dialog=${(close) => html`<${ReplayAll} jobs=${items} done=${done} onSubmit=${replayAll} onClose=${close} />`}>
        Replay all ${count(items.length)} shown
      </${DialogButton}>
    </div>`;
}

function ReplayAll({ jobs, done, onSubmit, onClose }) {
  // Those that were shown when it was asked: the list behind goes on.
  const [asked] = useState(jobs);
  const names = [...new Set(asked.map((job) => job.job))];
  return html`
    <${ActionDialog} title="Replay ${plural(asked.length, "dead job")}?" submit=${`Replay ${asked.length}`} onSubmit=${() => onSubmit(asked)} onClose=${onClose}>
      <p>Each runs again with its own arguments and as many attempts as at first. ${names.length === 1 ? "The job is" : "The jobs are"} ${names.join(", ")}.</p>
      <p class="note" role="status">${done ? `Replaying ${done} …` : ""}</p>
    </${ActionDialog}>`;
}

function More({ limit }) {
  const next = LIMITS.find((one) => one > limit);
  return html`<nav class="paging" aria-label="Length of the list">${next
    ? html`<a href=${hrefHere({ limit: next })}>Show up to ${count(next)}</a>`
    : html`<span class="note">The newest ${count(limit)} are shown.</span>`}</nav>`;
}

function NoJobs({ state, hasFilter }) {
  if (hasFilter) return html`<${Empty} title="No job fits">Other queues or jobs may have some. <a href=${href("/jobs", { state })}>Show all</a></${Empty}>`;
  if (state === "dead") return html`<${Empty} title="No job is dead">A job that fails too often comes here, and can be replayed.</${Empty}>`;
  return html`<${Empty} title=${state === "all" ? "There are no jobs yet" : `No job is ${state}`} example="dogwatch enqueue generate_performance_report --args '{&quot;hours&quot;: 48}'">Enqueue one:</${Empty}>`;
}
