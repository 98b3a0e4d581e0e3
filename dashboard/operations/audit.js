// The audit log: who did what, when and from where.

import { html } from "../vendor/htm-preact.js";
import { usePoll } from "../lib/live.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded, Time } from "../lib/ui.js";

const words = (action) => action.replaceAll("_", " ");

const columns = [
  { name: "at", label: "When", lead: true, value: (event) => event.id, cell: (event) => html`<${Time} at=${event.occurred_at} />` },
  { name: "action", label: "What", value: (event) => event.action, cell: (event) => words(event.action) },
  { name: "target", label: "To what", value: (event) => event.target ?? "", cell: (event) => html`<span title=${event.details ? JSON.stringify(event.details) : ""}>${event.target}</span>` },
  { name: "actor", label: "By", value: (event) => event.actor, cell: (event) => event.actor },
  { name: "address", label: "From", value: (event) => event.address ?? "", cell: (event) => event.address },
];

export function AuditCard() {
  const poll = usePoll("/audit?limit=50", { every: 30_000 });
  return html`
    <${Card} title="Audit log" flush=${true} note="The last 50; all of it: dogwatch audit">
      <${Loaded} poll=${poll} lines=${4}>
        ${({ items }) => (items.length === 0
          ? html`<${Empty} title="Nothing is in the audit log yet">Sign-ins, refused keys and changes by people are shown here.</${Empty}>`
          : html`<${Table} caption="Audit log" columns=${columns} rows=${items} rowKey=${(event) => event.id} sort="-at" param="audit" />`)}
      </${Loaded}>
    </${Card}>`;
}
