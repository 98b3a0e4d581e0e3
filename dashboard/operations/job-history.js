// What ran in the last hours, job by job.

import { html } from "../vendor/htm-preact.js";
import { count, ms, percent } from "../lib/format.js";
import { Table } from "../lib/table.js";
import { Empty, Loaded } from "../lib/ui.js";
import { href } from "../lib/url.js";

const runs = (row) => row.succeeded + row.retried + row.dead + row.cancelled;
const failures = (row) => row.retried + row.dead;

/** Per minute, or per hour where that would be a small fraction. */
function throughput(row, hours) {
  const perMinute = runs(row) / (hours * 60);
  if (perMinute >= 1) return `${Number(perMinute.toFixed(1))} / min`;
  return `${Number((perMinute * 60).toFixed(1))} / h`;
}

export function JobHistory({ poll, hours, queue }) {
  const columns = [
    { name: "job", label: "Job", lead: true, value: (row) => row.job, cell: (row) => html`<a class="lead-line" href=${href("/jobs", { state: "all", job: row.job })}>${row.job}</a>` },
    { name: "queue", label: "Queue", value: (row) => row.queue },
    { name: "runs", label: "Runs", numeric: true, value: runs, cell: (row) => count(runs(row)) },
    { name: "failed", label: "Failed", title: "Attempts that failed, with or without another to follow", numeric: true, value: failures, cell: (row) => html`<${Failed} row=${row} />` },
    { name: "dead", label: "Dead", numeric: true, value: (row) => row.dead, cell: (row) => (row.dead === 0 ? html`<span class="faint">0</span>` : html`<a class="tone-bad" href=${href("/jobs", { state: "dead", job: row.job, queue: row.queue })}>${count(row.dead)}</a>`) },
    { name: "mean", label: "Mean", numeric: true, value: (row) => row.mean_ms, cell: (row) => ms(row.mean_ms) },
    { name: "p50", label: "p50", numeric: true, value: (row) => row.p50_ms, cell: (row) => ms(row.p50_ms) },
    { name: "p95", label: "p95", numeric: true, value: (row) => row.p95_ms, cell: (row) => ms(row.p95_ms) },
    { name: "p99", label: "p99", numeric: true, value: (row) => row.p99_ms, cell: (row) => ms(row.p99_ms) },
    { name: "rate", label: "Throughput", numeric: true, value: runs, cell: (row) => throughput(row, hours) },
  ];
  return html`
    <${Loaded} poll=${poll} lines=${6}>
      ${({ items }) => {
        const rows = queue ? items.filter((row) => row.queue === queue) : items;
        if (rows.length === 0) return html`<${Empty} title="Nothing ran in this time">Choose a longer time above, or see what waits: <a href=${href("/jobs", { state: "ready" })}>ready jobs</a>.</${Empty}>`;
        return html`<${Table} caption="Runs by job" columns=${columns} rows=${rows} rowKey=${(row) => `${row.queue} ${row.job}`} sort="-runs" />`;
      }}
    </${Loaded}>`;
}

function Failed({ row }) {
  const failed = failures(row);
  if (failed === 0) return html`<span class="faint">0</span>`;
  return html`<span class="tone-bad">${count(failed)}</span> <span class="note">${percent(failed / runs(row))}</span>`;
}
