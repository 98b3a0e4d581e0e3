// What can be done about an alert: acknowledge, silence, resolve. Each by a dialog.

import { html, useState } from "../vendor/htm-preact.js";
import { post } from "../lib/api.js";
import { say } from "../lib/ui.js";
import { ActionDialog, ByField, by } from "./actions.js";

const LENGTHS = [["30m", "30 minutes"], ["1h", "1 hour"], ["4h", "4 hours"], ["12h", "12 hours"], ["24h", "1 day"], ["168h", "7 days"], ["720h", "30 days"]];

export const isOpen = (alert) => alert.status === "active" || alert.status === "acknowledged" || alert.status === "pending";

/** The actions of an alert in the order of their buttons; `fits` says whether one makes sense now. */
export const ACTIONS = [
  { name: "acknowledge", label: "Acknowledge", key: "a", fits: (alert) => alert.status === "active" || alert.status === "pending" },
  { name: "silence", label: "Silence", key: "s", fits: isOpen },
  { name: "resolve", label: "Resolve", key: "r", fits: isOpen },
];

/** `[dialog, ask(name, alert)]`: what to render, and how to open it. `onDone` is called after the server has agreed. */
export function useAlertActions(onDone) {
  const [asked, setAsked] = useState(null);
  const close = () => setAsked(null);
  const View = asked && DIALOGS[asked.name];
  const dialog = View && html`<${View} alert=${asked.alert} onClose=${close} onDone=${onDone} />`;
  return [dialog, (name, alert) => setAsked({ name, alert })];
}

const subject = (alert) => html`<p class="soft">${alert.title}</p>`;

function Acknowledge({ alert, onClose, onDone }) {
  async function send(form) {
    await post(`/performance/alerts/${alert.id}/acknowledge`, { by: by(form), note: form.get("note").trim() || null });
    say("Acknowledged. Nobody is told again until it changes.");
    onDone();
  }
  return html`
    <${ActionDialog} title="Acknowledge alert" submit="Acknowledge" onSubmit=${send} onClose=${onClose}>
      ${subject(alert)}
      <label>Note<textarea name="note" rows="3" maxlength="4000" autofocus placeholder="What you know, and what you do about it"></textarea></label>
      <${ByField} />
    </${ActionDialog}>`;
}

function Silence({ alert, onClose, onDone }) {
  async function send(form) {
    await post(`/performance/alerts/${alert.id}/silence`, {
      by: by(form), comment: form.get("comment").trim() || null, duration: form.get("duration"),
    });
    say(`Silenced for ${LENGTHS.find(([value]) => value === form.get("duration"))[1]}.`);
    onDone();
  }
  return html`
    <${ActionDialog} title="Silence alert" submit="Silence" onSubmit=${send} onClose=${onClose}>
      ${subject(alert)}
      <p class="note">Nobody is told of this alert, or of others of its type and scope, until then. It is still shown here.</p>
      <label>For<select name="duration" autofocus>${LENGTHS.map(([value, text]) => html`<option value=${value} selected=${value === "1h"}>${text}</option>`)}</select></label>
      <label>Comment<textarea name="comment" rows="2" maxlength="4000" placeholder="Why, such as “deploy of payments 4.2”"></textarea></label>
      <${ByField} />
    </${ActionDialog}>`;
}

function Resolve({ alert, onClose, onDone }) {
  async function send(form) {
    await post(`/performance/alerts/${alert.id}/resolve`, { by: by(form), note: form.get("note").trim() || null });
    say("Resolved.");
    onDone();
  }
  return html`
    <${ActionDialog} title="Resolve alert" submit="Resolve" onSubmit=${send} onClose=${onClose}>
      ${subject(alert)}
      <p class="note">Should its condition still hold, it is raised again.</p>
      <label>Note<textarea name="note" rows="3" maxlength="4000" autofocus placeholder="What it was"></textarea></label>
      <${ByField} />
    </${ActionDialog}>`;
}

const DIALOGS = { acknowledge: Acknowledge, silence: Silence, resolve: Resolve };
