// Silences: which there are, which alerts they are about, and ending one.

import { html } from "../vendor/htm-preact.js";
import { del } from "../lib/api.js";
import { Table } from "../lib/table.js";
import { Button, Card, Empty, Loaded, Time, say } from "../lib/ui.js";
import { useWhyNot } from "./actions.js";

/** The silence that keeps this alert quiet now, if there is one. */
export const silenceOf = (alert, silences) =>
  silences.find((silence) => Date.parse(silence.starts_at) <= Date.now() && matches(silence.match, alert.labels));

/** All conditions have to hold; `*` stands for anything; a label that is absent is empty. */
function matches(match, labels) {
  return Object.entries(match).every(([label, patterns]) => [patterns].flat().some((pattern) => isLike(labels[label] ?? "", pattern)));
}

function isLike(text, pattern) {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(text);
}

/** Labels and their values as small words. */
export const Labels = ({ labels }) => html`
  <ul class="labels">${Object.entries(labels).map(([label, value]) => html`<li><span>${label}</span> ${[value].flat().join(" or ")}</li>`)}</ul>`;

export function SilencesCard({ poll }) {
  const whyNot = useWhyNot("alerts");
  async function end(silence) {
    await del(`/performance/silences/${silence.id}`);
    say("The silence is over.");
    poll.refresh();
  }
  const columns = [
    { name: "match", label: "Alerts with", lead: true, cell: (silence) => html`<${Labels} labels=${silence.match} />` },
    { name: "comment", label: "Comment", cell: (silence) => silence.comment || html`<span class="faint">no comment</span>` },
    { name: "by", label: "By", cell: (silence) => silence.created_by },
    { name: "starts", label: "Begins", cell: (silence) => html`<${Time} at=${silence.starts_at} />` },
    { name: "ends", label: "Ends", cell: (silence) => html`<${Time} at=${silence.ends_at} />` },
    { name: "end", label: "", numeric: true, cell: (silence) => html`<${Button} kind="small" why=${whyNot} onClick=${() => end(silence)}>End now</${Button}>` },
  ];
  return html`
    <${Card} title="Silences" flush=${true} note="Alerts that nobody is told of for a while">
      <${Loaded} poll=${poll} lines=${2}>
        ${({ items }) => (items.length === 0
          ? html`<${Empty} title="Nothing is silenced">Silence an alert above while you work on it.</${Empty}>`
          : html`<${Table} caption="Silences" columns=${columns} rows=${items} rowKey=${(silence) => silence.id} />`)}
      </${Loaded}>
    </${Card}>`;
}
