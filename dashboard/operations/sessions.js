// Browsers that have signed in with a key, and signing one out.

import { html } from "../vendor/htm-preact.js";
import { del } from "../lib/api.js";
import { usePoll } from "../lib/live.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded, Time, say } from "../lib/ui.js";
import { ActionDialog, DialogButton } from "./actions.js";

export function SessionsCard() {
  const poll = usePoll("/sessions", { every: 30_000 });
  const columns = [
    { name: "key", label: "Key", lead: true, value: (session) => session.key, cell: (session) => html`<span class="lead-line">${session.key}</span>` },
    { name: "address", label: "From", value: (session) => session.address ?? "", cell: (session) => session.address },
    { name: "created", label: "Signed in", value: (session) => session.created_at, cell: (session) => html`<${Time} at=${session.created_at} />` },
    { name: "used", label: "Last used", value: (session) => session.last_used_at, cell: (session) => html`<${Time} at=${session.last_used_at} />` },
    { name: "actions", label: "", numeric: true, cell: (session) => html`<${SignOut} session=${session} refresh=${poll.refresh} />` },
  ];
  return html`
    <${Card} title="Sessions" flush=${true} note="One that is not used for a week ends">
      <${Loaded} poll=${poll} lines=${3}>
        ${({ items }) => (items.length === 0
          ? html`<${Empty} title="No browser has signed in with a key">People sign in with an API key at <code>/sign-in</code>.</${Empty}>`
          : html`<${Table} caption="Sessions" columns=${columns} rows=${items} rowKey=${(session) => session.id} sort="-used" param="sessions" />`)}
      </${Loaded}>
    </${Card}>`;
}

function SignOut({ session, refresh }) {
  async function end() {
    await del(`/sessions/${session.id}`);
    say("The browser is signed out.");
    refresh();
  }
  return html`
    <${DialogButton} kind="small" aria-label="Sign out ${session.key}, ${session.address ?? ""}" dialog=${(close) => html`
      <${ActionDialog} title="Sign this browser out?" submit="Sign out" kind="danger" onSubmit=${end} onClose=${close}>
        <p>Within seconds it has to sign in again. Whoever has the key can.</p>
      </${ActionDialog}>`}>Sign out</${DialogButton}>`;
}
