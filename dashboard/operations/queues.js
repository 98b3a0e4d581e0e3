// Queues: what waits where, and letting workers take from them or not.

import { html } from "../vendor/htm-preact.js";
import { post } from "../lib/api.js";
import { count, ms, plural } from "../lib/format.js";
import { Table } from "../lib/table.js";
import { Button, Card, Empty, Loaded, StatusBadge, say } from "../lib/ui.js";
import { href } from "../lib/url.js";
import { ActionDialog, DialogButton, useWhyNot } from "./actions.js";

/** A job waits so long before it is worth a colour. */
const LONG_WAIT_MS = 60_000;

export function QueuesCard({ poll }) {
  const whyNot = useWhyNot();
  const whyNotPurge = useWhyNot("admin");
  const number = (state) => ({
    name: state, label: state.charAt(0).toUpperCase() + state.slice(1), numeric: true, value: (queue) => queue[state],
    cell: (queue) => (queue[state] === 0
      ? html`<span class="faint">0</span>`
      : html`<a class=${state === "dead" ? "tone-bad" : ""} href=${href("/jobs", { state, queue: queue.name })}>${count(queue[state])}</a>`),
  });
  const columns = [
    { name: "name", label: "Queue", lead: true, value: (queue) => queue.name, cell: (queue) => html`<a class="lead-line" href=${href("/jobs", { state: "all", queue: queue.name })}>${queue.name}</a>` },
    { name: "state", label: "State", value: (queue) => String(queue.paused), cell: (queue) => html`<${StatusBadge} state=${queue.paused ? "paused" : "open"} tone=${queue.paused ? "warn" : "good"} />` },
    ...["ready", "running", "scheduled", "retrying", "dead"].map(number),
    { name: "oldest", label: "Oldest waits", title: "How long the first that is ready waits for a worker", numeric: true, value: (queue) => queue.oldest_ready_ms, cell: (queue) => html`<span class=${queue.oldest_ready_ms > LONG_WAIT_MS ? "tone-warn" : ""}>${ms(queue.oldest_ready_ms)}</span>` },
    { name: "actions", label: "", numeric: true, cell: (queue) => html`<div class="row-actions"><${Purge} queue=${queue} whyNot=${whyNotPurge} refresh=${poll.refresh} /><${PauseOrResume} queue=${queue} whyNot=${whyNot} refresh=${poll.refresh} /></div>` },
  ];
  return html`
    <${Card} title="Queues" flush=${true}>
      <${Loaded} poll=${poll} lines=${3}>
        ${({ items }) => (items.length === 0
          ? html`<${Empty} title="No queue was used yet" example="dogwatch enqueue generate_performance_report">The first job makes its queue:</${Empty}>`
          : html`<${Table} caption="Queues" columns=${columns} rows=${items} rowKey=${(queue) => queue.name} param="queues" />`)}
      </${Loaded}>
    </${Card}>`;
}

/** Only where something waits. */
function Purge({ queue, whyNot, refresh }) {
  const waiting = queue.ready + queue.scheduled + queue.retrying;
  if (waiting === 0) return null;
  async function purge() {
    const { jobs } = await post(`/queues/${encodeURIComponent(queue.name)}/purge`);
    say(`${plural(jobs, "job")} cancelled.`);
    refresh();
  }
  return html`
    <${DialogButton} kind="small" why=${whyNot} aria-label="Purge ${queue.name}" dialog=${(close) => html`
      <${ActionDialog} title="Purge the queue ${queue.name}?" submit="Cancel what waits" kind="danger" onSubmit=${purge} onClose=${close}>
        <p>All that waits in it is cancelled: ${plural(waiting, "job")} now. What runs goes on.</p>
      </${ActionDialog}>`}>Purge</${DialogButton}>`;
}

function PauseOrResume({ queue, whyNot, refresh }) {
  async function resume() {
    await post(`/queues/${encodeURIComponent(queue.name)}/resume`);
    say(`Workers take from ${queue.name} again.`);
    refresh();
  }
  async function pause() {
    await post(`/queues/${encodeURIComponent(queue.name)}/pause`);
    say(`${queue.name} is paused.`);
    refresh();
  }
  if (queue.paused) return html`<${Button} kind="small" why=${whyNot} aria-label="Resume ${queue.name}" onClick=${resume}>Resume</${Button}>`;
  return html`
    <${DialogButton} kind="small" why=${whyNot} aria-label="Pause ${queue.name}" dialog=${(close) => html`
      <${ActionDialog} title="Pause the queue ${queue.name}?" submit="Pause" onSubmit=${pause} onClose=${close}>
        <p>Workers take no more jobs from it until it is resumed. What runs goes on, and new jobs wait.</p>
      </${ActionDialog}>`}>Pause</${DialogButton}>`;
}
