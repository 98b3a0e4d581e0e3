// How a job is shown, and what can be done with it.

import { html } from "../vendor/htm-preact.js";
import { del, post } from "../lib/api.js";
import { ms, percent } from "../lib/format.js";
import { useNow } from "../lib/live.js";
import { Bar, StatusBadge, Time } from "../lib/ui.js";
import { href } from "../lib/url.js";

const TONES = { running: "mild", ready: "none", scheduled: "none", retrying: "warn", succeeded: "good", dead: "bad", cancelled: "none", expired: "warn" };

export const JobState = ({ state }) => html`<${StatusBadge} state=${state} tone=${TONES[state]} />`;

/** An id is unique within its queue only. */
export const jobHref = ({ id, queue }) => href("/job", { id, queue });

/** What the API says of a job, below which its actions are; `queue` is absent in links from elsewhere. */
export function jobPath({ id, queue }, action = "") {
  const query = queue ? `?queue=${encodeURIComponent(queue)}` : "";
  return `/jobs/${encodeURIComponent(id)}${action}${query}`;
}

/** Its name; a job whose payload cannot be read has none. */
export const JobLink = ({ job }) => html`<a class="lead-line" href=${jobHref(job)}>${job.job || "unreadable job"}</a>`;

/** What can run again, or at once. */
const RETRY_LABELS = { dead: "Replay", cancelled: "Run again", expired: "Run again", retrying: "Retry now", scheduled: "Run now" };
export const retryLabel = (job) => RETRY_LABELS[job.state] ?? null;
export const canCancel = (job) => ["ready", "scheduled", "retrying", "running"].includes(job.state);

export const retry = (job, args) => post(jobPath(job, "/retry"), args === undefined ? {} : { args });
export const cancel = (job) => post(jobPath(job, "/cancel"));
/** Forgets a dead one. */
export const discard = (job) => del(jobPath(job));

/** Attempt 2 of 5; without a limit of its own the job's policy holds. */
export const attempts = (job) => (job.max_attempts ? `${job.attempt} of ${job.max_attempts}` : String(job.attempt));

/** How long the last attempt took, or takes. */
export function RunTime({ job }) {
  const now = useNow(1_000);
  if (!job.started_at) return html`<span class="faint">–</span>`;
  const end = job.state === "running" ? now : job.finished_at && Date.parse(job.finished_at);
  return end ? html`${ms(Math.max(0, end - Date.parse(job.started_at)))}` : html`<span class="faint">–</span>`;
}

/** How far it is: a share, `{done, total}`, or whatever the job says of itself. */
export function Progress({ value }) {
  if (value === null || value === undefined) return null;
  const part = partOf(value);
  if (part === null) return html`<code class="note">${typeof value === "string" ? value : JSON.stringify(value)}</code>`;
  return html`<span class="progress" title=${JSON.stringify(value)}>${percent(part)} <${Bar} part=${part} /></span>`;
}

function partOf(value) {
  const within = (part) => (Number.isFinite(part) && part >= 0 && part <= 1 ? part : null);
  if (typeof value === "number") return within(value > 1 ? value / 100 : value);
  if (Array.isArray(value) && value.length === 2) return within(value[0] / value[1]);
  const [done, total] = [value.done ?? value.current, value.total];
  if (typeof done === "number" && typeof total === "number") return within(done / total);
  return typeof value.percent === "number" ? within(value.percent / 100) : null;
}

/** The time that says most about a job in its state. */
export function When({ job }) {
  if (job.state === "running") return html`since <${Time} at=${job.started_at} />`;
  if (job.state === "scheduled" || job.state === "retrying") return html`<${Due} at=${job.run_at} />`;
  if (job.state === "ready") return html`waits since <${Time} at=${job.run_at ?? job.enqueued_at} />`;
  return html`<${Time} at=${job.finished_at ?? job.enqueued_at} />`;
}

function Due({ at }) {
  const now = useNow(1_000);
  return Date.parse(at) <= now ? html`due now` : html`<${Time} at=${at} />`;
}
