// What a person does: who may, a dialog that asks first, and keys.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { Button, Dialog, ErrorNote } from "../lib/ui.js";
import { useSession } from "../lib/session.js";

/** Why the one who looks may not do what needs this scope; undefined: they may. */
export function useWhyNot(scope = "write") {
  const session = useSession();
  return session.may(scope) ? undefined : `needs a key with the scope “${scope}”`;
}

/**
 * A dialog with a form. `onSubmit(form)` does the work; where it fails, the dialog stays open and says why, with what was
 * written still there.
 */
export function ActionDialog({ title, submit, kind = "primary", onSubmit, onClose, children }) {
  const [error, setError] = useState(null);
  const [isPending, setPending] = useState(false);
  const form = useRef(null);

  async function send(event) {
    event.preventDefault();
    if (isPending) return;
    setPending(true);
    setError(null);
    try {
      await onSubmit(new FormData(form.current));
      onClose();
    } catch (problem) {
      setError(problem);
      setPending(false);
    }
  }

  return html`
    <${Dialog} title=${title} onClose=${onClose}>
      <form class="form" ref=${form} onSubmit=${send}>
        ${children}
        <${ErrorNote} error=${error} />
        <div class="form-actions">
          <button type="button" class="button" onClick=${(event) => event.target.closest("dialog").close()}>Cancel</button>
          <button type="submit" class="button ${kind}" aria-busy=${isPending}>${submit}</button>
        </div>
      </form>
    </${Dialog}>`;
}

/** A button that opens a dialog: `dialog(close)` is what it opens. */
export function DialogButton({ dialog, children, ...rest }) {
  const [isOpen, setOpen] = useState(false);
  return html`
    <${Button} ...${rest} aria-haspopup="dialog" onClick=${() => setOpen(true)}>${children}</${Button}>
    ${isOpen && dialog(() => setOpen(false))}`;
}

/** Keys of a page, `{ a: (event) => … }`, while nobody types and no dialog is open. What the shell takes stays the shell's. */
export function usePageKeys(actions) {
  const newest = useRef(actions);
  newest.current = actions;
  useEffect(() => {
    const press = (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest?.("input, select, textarea") || document.querySelector("dialog[open]")) return;
      const act = newest.current[event.key];
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    // After the shell, which listens at the document: the `a` of `g a` is not ours.
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
}

/** What these keys do, for who has a keyboard. */
export const KeyHints = ({ keys }) => html`
  <p class="key-hints note">${Object.entries(keys).map(([key, text]) => html`<span>${key.split(" ").map((one) => html`<kbd>${one}</kbd> `)}${text}</span>`)}</p>`;

const NAME = "name-of-person";

/** Who acts: several people may share a key, so they can say their name, and this browser keeps it. */
export function ByField() {
  const { name } = useSession();
  return html`<label>Your name<input name="by" maxlength="100" required value=${localStorage.getItem(NAME) ?? name} autocomplete="name" /></label>`;
}

/** The name that was written, kept for the next time. */
export function by(form) {
  const name = form.get("by").trim();
  localStorage.setItem(NAME, name);
  return name;
}
