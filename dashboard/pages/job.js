// One job: what it was asked to do, what became of it, and running it again.

import { html, useState } from "../vendor/htm-preact.js";
import { plural } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { Page } from "../lib/page.js";
import { Table } from "../lib/table.js";
import { Button, Card, Copy, Empty, Loaded, Time, say } from "../lib/ui.js";
import { href, navigate, useLocation } from "../lib/url.js";
import { ActionDialog, DialogButton, useWhyNot } from "../operations/actions.js";
import { JobState, Progress, RunTime, attempts, canCancel, cancel, discard, jobPath, retry, retryLabel } from "../operations/job-parts.js";
import { Facts, Json } from "../operations/parts.js";

const trail = () => html`<a href=${href("/jobs", { state: "all" })}>Jobs</a>`;

export default function JobPage() {
  const { params } = useLocation();
  const id = params.get("id");
  const poll = usePoll(id && jobPath({ id, queue: params.get("queue") }), { every: 2_000 });
  const job = poll.data;
  if (!id) return html`<${Page} title="Job" trail=${trail()}><${Empty} title="Which job?">Choose one in the <a href=${href("/jobs", { state: "all" })}>list of jobs</a>.</${Empty}></${Page}>`;
  return html`
    <${Page} title=${job ? job.job || "Unreadable job" : "Job"} trail=${trail()} actions=${job && html`<${Actions} job=${job} refresh=${poll.refresh} />`}>
      <${Loaded} poll=${poll} lines=${10}>
        ${(job) => html`
          <div class="columns-2">
            <div class="stack">
              <${State} job=${job} />
              <${Failures} job=${job} />
            </div>
            <div class="stack">
              <${Card} title="Arguments" aside=${html`<${Copy} text=${JSON.stringify(job.args)} />`}><${Json} value=${job.args} label="Arguments" /></${Card}>
              ${job.result_error && html`<${Card} title="Result"><p>The job has succeeded. Its result has ${job.result_error.bytes} bytes; at most ${job.result_error.limit} are kept.</p></${Card}>`}
              ${job.result !== null && html`<${Card} title="Result"><${Json} value=${job.result} label="Result" /></${Card}>`}
            </div>
          </div>`}
      </${Loaded}>
    </${Page}>`;
}

function State({ job }) {
  return html`
    <${Card}>
      <div class="state-line"><${JobState} state=${job.state} /><${Progress} value=${job.progress} /></div>
      ${job.error && html`<pre class="code error-text" tabindex="0" role="region" aria-label="Error">${job.error}</pre>`}
      <${Facts} items=${[
        ["Id", html`<span class="mono">${job.id}</span> <${Copy} text=${job.id} />`],
        ["Queue", html`<a href=${href("/jobs", { state: "all", queue: job.queue })}>${job.queue}</a>`],
        ["Attempt", job.max_attempts ? attempts(job) : html`${attempts(job)} <span class="faint">(as many as the job's own policy allows)</span>`],
        ["Schedule", job.schedule && html`<a href=${href("/schedules")}>${job.schedule}</a>`],
        ["Trace", job.trace_id && html`<span class="mono">${job.trace_id}</span> <${Copy} text=${job.trace_id} />`],
        ["Unique key", job.unique_key && html`<code>${job.unique_key}</code>`],
        ["Enqueued", html`<${Time} at=${job.enqueued_at} none="unknown" />`],
        ["Due", job.run_at && html`<${Time} at=${job.run_at} />`],
        ["Begun", job.started_at && html`<${Time} at=${job.started_at} />`],
        ["Ended", job.finished_at && html`<${Time} at=${job.finished_at} />`],
        ["Took", job.started_at && html`<${RunTime} job=${job} />`],
        ["Worker", job.worker && html`<a class="mono" href=${href("/workers")}>${job.worker}</a>`],
      ]} />
    </${Card}>`;
}

function Failures({ job }) {
  if (job.errors.length === 0) return null;
  const columns = [
    { name: "attempt", label: "Attempt", numeric: true, value: (failure) => failure.attempt },
    { name: "at", label: "When", value: (failure) => failure.at, cell: (failure) => html`<${Time} at=${failure.at} />` },
    { name: "error", label: "Error", lead: true, cell: (failure) => html`<span class="job-error">${failure.error}</span>` },
  ];
  return html`
    <${Card} title="Failed attempts" flush=${true} note=${job.errors.length >= 10 ? "The last ten" : plural(job.errors.length, "attempt")}>
      <${Table} caption="Failed attempts" columns=${columns} rows=${job.errors} rowKey=${(failure) => `${failure.attempt} ${failure.at}`} sort="-at" param="failures" />
    </${Card}>`;
}

function Actions({ job, refresh }) {
  const whyNot = useWhyNot();
  const whyNotDiscard = useWhyNot("admin");
  const label = retryLabel(job);
  async function run() {
    await retry(job);
    say("It waits for a worker.");
    refresh();
  }
  async function stop() {
    await cancel(job);
    say(job.state === "running" ? "Its worker was told to stop it." : "Cancelled.");
    refresh();
  }
  async function forget() {
    await discard(job);
    say("Discarded.");
    navigate(href("/jobs", { state: "dead" }));
  }
  return html`
    ${job.state === "dead" && html`
      <${DialogButton} why=${whyNotDiscard} dialog=${(close) => html`
        <${ActionDialog} title="Discard this job?" submit="Discard the job" kind="danger" onSubmit=${forget} onClose=${close}>
          <p>Dogwatch forgets it, its arguments and its errors. It cannot be replayed then.</p>
        </${ActionDialog}>`}>Discard</${DialogButton}>`}
    ${canCancel(job) && html`
      <${DialogButton} why=${whyNot} dialog=${(close) => html`
        <${ActionDialog} title="Cancel this job?" submit="Cancel the job" kind="danger" onSubmit=${stop} onClose=${close}>
          <p>${job.state === "running" ? "Its worker is told to stop it; what it has done so far stays done." : "It will not run, unless somebody runs it again."}</p>
        </${ActionDialog}>`}>Cancel</${DialogButton}>`}
    ${label && html`
      <${DialogButton} why=${whyNot} dialog=${(close) => html`<${OtherArguments} job=${job} refresh=${refresh} onClose=${close} />`}>${label} with other arguments</${DialogButton}>
      <${Button} kind="primary" why=${whyNot} onClick=${run}>${label}</${Button}>`}`;
}

function OtherArguments({ job, refresh, onClose }) {
  const [text, setText] = useState(() => JSON.stringify(job.args, null, 2));
  async function run() {
    let args;
    try {
      args = JSON.parse(text);
    } catch (error) {
      throw { title: "This is not JSON", detail: error.message };
    }
    await retry(job, args);
    say("It waits for a worker, with these arguments.");
    refresh();
  }
  return html`
    <${ActionDialog} title="${retryLabel(job)} with other arguments" submit=${retryLabel(job)} onSubmit=${run} onClose=${onClose}>
      <label>Arguments (a JSON object)<textarea class="mono" rows="10" spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)}></textarea></label>
    </${ActionDialog}>`;
}
