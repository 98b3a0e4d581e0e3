// API keys: which there are, making one, and revoking one.

import { html, useState } from "../vendor/htm-preact.js";
import { del, post } from "../lib/api.js";
import { usePoll } from "../lib/live.js";
import { Table } from "../lib/table.js";
import { Card, Copy, Dialog, Empty, Loaded, StatusBadge, Time, say } from "../lib/ui.js";
import { ActionDialog, DialogButton } from "./actions.js";

const SCOPES = [
  ["ingest", "send metrics, spans and heartbeats"],
  ["read", "look at everything"],
  ["enqueue", "enqueue jobs"],
  ["alerts", "report, acknowledge, resolve and silence alerts"],
  ["write", "act on jobs, queues and schedules; enqueue, act on alerts, and look"],
  ["admin", "everything: also remove jobs and data, change keys and settings"],
];
const LENGTHS = [["", "Never"], ["30", "After 30 days"], ["90", "After 90 days"], ["365", "After a year"]];
const DAY_MS = 86_400_000;

function stateOf(key) {
  if (key.revoked_at) return "revoked";
  return key.expires_at && Date.parse(key.expires_at) <= Date.now() ? "expired" : "valid";
}
const TONES = { valid: "good", expired: "warn", revoked: "none" };

export function KeysCard() {
  const poll = usePoll("/keys", { every: 15_000 });
  /** Shown this once, and kept nowhere. */
  const [created, setCreated] = useState(null);
  const columns = [
    { name: "name", label: "Name", lead: true, value: (key) => key.name, cell: (key) => html`<span class="lead-line">${key.name}</span>` },
    { name: "state", label: "State", value: stateOf, cell: (key) => html`<div><${StatusBadge} state=${stateOf(key)} tone=${TONES[stateOf(key)]} />${key.revoked_at && html`<div class="note"><${Time} at=${key.revoked_at} /></div>`}</div>` },
    { name: "scopes", label: "Scopes", cell: (key) => key.scopes.join(", ") },
    { name: "tenant", label: "Tenant", value: (key) => key.tenant ?? "", cell: (key) => key.tenant ?? html`<span class="faint">all</span>` },
    { name: "created", label: "Made", value: (key) => key.created_at, cell: (key) => html`<div><${Time} at=${key.created_at} /><div class="note">by ${key.created_by}</div></div>` },
    { name: "used", label: "Last used", value: (key) => key.last_used_at, cell: (key) => html`<${Time} at=${key.last_used_at} />` },
    { name: "expires", label: "Ends", value: (key) => key.expires_at, cell: (key) => html`<${Time} at=${key.expires_at} />` },
    { name: "actions", label: "", numeric: true, cell: (key) => !key.revoked_at && html`<div class="row-actions">${stateOf(key) === "valid" && html`<${Rotate} apiKey=${key} onMade=${(made) => { setCreated(made); poll.refresh(); }} />`}<${Revoke} apiKey=${key} refresh=${poll.refresh} /></div>` },
  ];
  const make = html`
    <${DialogButton} kind="primary" dialog=${(close) => html`<${Make} onClose=${close} onMade=${(key) => { setCreated(key); poll.refresh(); }} />`}>Make a key</${DialogButton}>`;
  return html`
    <${Card} title="API keys" flush=${true} aside=${make}>
      <${Loaded} poll=${poll} lines=${4}>
        ${({ items }) => (items.length === 0
          ? html`<${Empty} title="There are no keys yet">Without one, only the owner of this Dogwatch can use it, on its machine. Make one for each service and each person.</${Empty}>`
          : html`<${Table} caption="API keys" columns=${columns} rows=${items} rowKey=${(key) => key.id} param="keys" />`)}
      </${Loaded}>
    </${Card}>
    ${created && html`<${Secret} created=${created} onClose=${() => setCreated(null)} />`}`;
}

function Make({ onClose, onMade }) {
  async function make(form) {
    const days = Number(form.get("days"));
    const scopes = form.getAll("scopes");
    if (scopes.length === 0) throw { title: "Choose a scope", detail: "A key without one could do nothing." };
    onMade(await post("/keys", {
      name: form.get("name").trim(), scopes, tenant: form.get("tenant").trim() || null,
      expires_at: days ? new Date(Date.now() + days * DAY_MS).toISOString() : null,
    }));
  }
  return html`
    <${ActionDialog} title="Make a key" submit="Make it" onSubmit=${make} onClose=${onClose}>
      <label>Name<input name="name" required maxlength="100" autofocus autocomplete="off" placeholder="Who or what uses it, such as “shop”" /></label>
      <fieldset class="choices">
        <legend>Scopes</legend>
        ${SCOPES.map(([scope, text]) => html`<label><input type="checkbox" name="scopes" value=${scope} /><span><strong>${scope}</strong> <span class="soft">${text}</span></span></label>`)}
      </fieldset>
      <label>Tenant<input name="tenant" autocomplete="off" placeholder="All" /></label>
      <label>Ends<select name="days">${LENGTHS.map(([days, text]) => html`<option value=${days}>${text}</option>`)}</select></label>
    </${ActionDialog}>`;
}

function Secret({ created, onClose }) {
  return html`
    <${Dialog} title="The key “${created.name}”" onClose=${onClose}>
      <p>Copy it now: it is shown this once, and nobody can read it again.</p>
      <div class="example secret"><pre tabindex="0" role="region" aria-label="The key">${created.secret}</pre><${Copy} text=${created.secret} /></div>
      <p class="note">Programs send it as <code>Authorization: Bearer …</code>; people sign in with it.</p>
    </${Dialog}>`;
}

const OVERLAPS = [["1h", "An hour"], ["24h", "A day"], ["7d", "A week"]];

function Rotate({ apiKey, onMade }) {
  const rotate = async (form) => onMade(await post(`/keys/${apiKey.id}/rotate`, { overlap: form.get("overlap") }));
  return html`
    <${DialogButton} kind="small" aria-label="Rotate ${apiKey.name}" dialog=${(close) => html`
      <${ActionDialog} title="Rotate the key “${apiKey.name}”?" submit="Rotate" onSubmit=${rotate} onClose=${close}>
        <p>A new key with the same name, scopes and tenant takes its place.</p>
        <label>This one is valid for<select name="overlap">${OVERLAPS.map(([time, text]) => html`<option value=${time}>${text}</option>`)}</select></label>
      </${ActionDialog}>`}>Rotate</${DialogButton}>`;
}

function Revoke({ apiKey, refresh }) {
  async function revoke() {
    await del(`/keys/${apiKey.id}`);
    say(`The key “${apiKey.name}” is revoked.`);
    refresh();
  }
  return html`
    <${DialogButton} kind="small" aria-label="Revoke ${apiKey.name}" dialog=${(close) => html`
      <${ActionDialog} title="Revoke the key “${apiKey.name}”?" submit="Revoke" kind="danger" onSubmit=${revoke} onClose=${close}>
        <p>Within seconds it opens nothing, and whoever has signed in with it is signed out. This cannot be undone.</p>
      </${ActionDialog}>`}>Revoke</${DialogButton}>`;
}
