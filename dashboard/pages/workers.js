// Workers: who works, on what, and when each was heard of.

import { html } from "../vendor/htm-preact.js";
import { plural } from "../lib/format.js";
import { useNow, usePoll } from "../lib/live.js";
import { Page } from "../lib/page.js";
import { Table } from "../lib/table.js";
import { Bar, Card, Empty, Loaded, StatusBadge, Time } from "../lib/ui.js";
import { href } from "../lib/url.js";
import { JobLink } from "../operations/job-parts.js";

/** A worker tells of itself every few seconds; after so long something is wrong. */
const SILENT_MS = 20_000;

export default function Workers() {
  const poll = usePoll("/workers");
  const now = useNow(5_000);
  const columns = [
    { name: "id", label: "Worker", lead: true, value: (worker) => worker.id, cell: (worker) => html`<${Name} worker=${worker} />` },
    { name: "state", label: "State", value: (worker) => stateOf(worker, now), cell: (worker) => html`<${State} state=${stateOf(worker, now)} />` },
    { name: "queues", label: "Queues", title: "With their weights", cell: (worker) => html`<ul class="labels">${worker.queues.map((queue) => html`<${Queue} queue=${queue} />`)}</ul>` },
    { name: "busy", label: "Busy", numeric: true, value: (worker) => worker.running.length / worker.concurrency, cell: (worker) => html`<${Busy} worker=${worker} />` },
    { name: "since", label: "Since", value: (worker) => worker.started_at, cell: (worker) => html`<${Time} at=${worker.started_at} />` },
    { name: "seen", label: "Last heartbeat", value: (worker) => worker.seen_at, cell: (worker) => html`<${Time} at=${worker.seen_at} />` },
  ];
  return html`
    <${Page} title="Workers">
      <${Loaded} poll=${poll} lines=${5}>
        ${({ items }) => html`
          <div class="stack">
            <section class="card flush" aria-label="Workers">
              ${items.length === 0
                ? html`<${Empty} title="Nobody works" example="dogwatch worker">Jobs wait until a worker runs. Start one:</${Empty}>`
                : html`<${Table} caption="Workers" columns=${columns} rows=${items} rowKey=${(worker) => worker.id} />`}
            </section>
            ${items.length > 0 && html`<${Running} workers=${items} />`}
          </div>`}
      </${Loaded}>
    </${Page}>`;
}

function stateOf(worker, now) {
  if (now - Date.parse(worker.seen_at) > SILENT_MS) return "silent";
  if (worker.draining) return "draining";
  return worker.running.length > 0 ? "working" : "idle";
}

const TONES = { silent: "bad", draining: "warn", working: "good", idle: "good" };
const State = ({ state }) => html`<${StatusBadge} state=${state} tone=${TONES[state]} />`;

const Name = ({ worker }) => html`
  <div class="lead-line mono">${worker.id}</div>
  <div class="note">host ${worker.host} · process ${worker.pid} · version ${worker.version}</div>`;

/** `default:3` is a queue and its weight. */
function Queue({ queue }) {
  const [name, weight] = queue.split(":");
  return html`<li><a href=${href("/jobs", { state: "all", queue: name })}>${name}</a>${weight && html` <span title="Weight">${weight}</span>`}</li>`;
}

const Busy = ({ worker }) => html`
  <span class="progress">${worker.running.length} of ${worker.concurrency} <${Bar} part=${Math.min(worker.running.length / worker.concurrency, 1)} /></span>`;

function Running({ workers }) {
  const rows = workers.flatMap((worker) => worker.running.map((job) => ({ ...job, worker: worker.id })));
  const columns = [
    { name: "job", label: "Job", lead: true, value: (job) => job.job, cell: (job) => html`<${JobLink} job=${job} />` },
    { name: "queue", label: "Queue", value: (job) => job.queue },
    { name: "attempt", label: "Attempt", numeric: true, value: (job) => job.attempt },
    { name: "worker", label: "Worker", value: (job) => job.worker, cell: (job) => html`<span class="mono">${job.worker}</span>` },
    { name: "since", label: "Runs since", value: (job) => job.since, cell: (job) => html`<${Time} at=${job.since} />` },
  ];
  return html`
    <${Card} title="What they run" flush=${true} note=${plural(rows.length, "job")}>
      ${rows.length === 0
        ? html`<${Empty} title="Nothing runs now">What waits is in the <a href=${href("/jobs", { state: "ready" })}>list of ready jobs</a>.</${Empty}>`
        : html`<${Table} caption="Running jobs" columns=${columns} rows=${rows} rowKey=${(job) => `${job.worker} ${job.queue} ${job.id}`} sort="since" param="running" />`}
    </${Card}>`;
}
