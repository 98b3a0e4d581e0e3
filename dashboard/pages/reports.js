// Reports: what was reported, to read, to print, and for programs.

import { html, useState } from "../vendor/htm-preact.js";
import { post } from "../lib/api.js";
import { exact, shortTime } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Page } from "../lib/page.js";
import { useSession } from "../lib/session.js";
import { Table } from "../lib/table.js";
import { Empty, Loaded, Time, say } from "../lib/ui.js";
import { ActionDialog, DialogButton, useWhyNot } from "../operations/actions.js";
import { jobHref } from "../operations/job-parts.js";

const JOB = "generate_performance_report";
const LENGTHS = [[24, "The last day"], [168, "The last week"], [720, "The last 30 days"], [1, "The last hour"]];

/** With the day, whatever the day is: a window often ends today and began yesterday. */
const withDay = (time) => shortTime(time, new Date(0));
const address = (report, format) => `/api/v1/performance/reports/${report.id}?format=${format}`;

export default function Reports() {
  const poll = usePoll("/performance/reports", { every: 15_000 });
  const session = useSession();
  const columns = [
    { name: "title", label: "Report", lead: true, value: (report) => report.title, cell: (report) => html`<a class="lead-line" href=${address(report, "html")} target="_blank" rel="noopener">${report.title}<span class="visually-hidden"> (opens in a new tab)</span></a>` },
    { name: "window", label: "Of", value: (report) => report.window_start, cell: (report) => html`<span title="${exact(report.window_start)} to ${exact(report.window_end)}">${withDay(report.window_start)} to ${withDay(report.window_end)}</span>` },
    ...(session.isTenant ? [] : [{ name: "tenant", label: "Tenant", value: (report) => report.tenant ?? "", cell: (report) => report.tenant ?? html`<span class="faint">all</span>` }]),
    { name: "created", label: "Made", value: (report) => report.created_at, cell: (report) => html`<${Time} at=${report.created_at} />` },
    { name: "forms", label: "", numeric: true, cell: (report) => html`<${Forms} report=${report} />` },
  ];
  return html`
    <${Page} title="Reports" actions=${!session.isTenant && html`<${Make} />`}>
      <section class="card flush" aria-label="Reports">
        <${Loaded} poll=${poll} lines=${6}>
          ${({ items }) => (items.length === 0
            ? html`<${Empty} title="There are no reports yet" example="dogwatch enqueue ${JOB} --args '{&quot;hours&quot;: 24}'">The schedule <code>${JOB}</code> makes one each day. Make one now:</${Empty}>`
            : html`<${Table} caption="Reports" columns=${columns} rows=${items} rowKey=${(report) => report.id} sort="-created" />`)}
        </${Loaded}>
      </section>
    </${Page}>`;
}

const Forms = ({ report }) => html`
  <div class="row-actions">
    ${[["text", "Text"], ["json", "JSON"]].map(([format, label]) => html`
      <a class="button small" href=${address(report, format)} target="_blank" rel="noopener">${label}<span class="visually-hidden"> of ${report.title}, made ${exact(report.created_at)} (opens in a new tab)</span></a>`)}
  </div>`;

/** A report is made by a job. */
function Make() {
  const whyNot = useWhyNot("enqueue");
  const [job, setJob] = useState(null);
  async function make(form) {
    const { id } = await post("/jobs", { job: JOB, args: { hours: Number(form.get("hours")) } });
    setJob({ id, queue: "default" });
    say("A job makes the report; it stands here when it has ended.");
  }
  return html`
    ${job && html`<a class="button quiet" href=${jobHref(job)}>The job that makes it</a>`}
    <${DialogButton} kind="primary" why=${whyNot} dialog=${(close) => html`
      <${ActionDialog} title="Make a report" submit="Make it" onSubmit=${make} onClose=${close}>
        <label>Of<select name="hours">${LENGTHS.map(([hours, text]) => html`<option value=${hours}>${text}</option>`)}</select></label>
      </${ActionDialog}>`}>Make a report</${DialogButton}>`;
}
