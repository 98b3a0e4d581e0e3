// The parts that all pages are made of.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact.js";
import { ago, exact, words } from "./format.js";
import { Icon, Shape } from "./icons.js";
import { useNow } from "./live.js";

const TONES = {
  healthy: "good", succeeded: "good", resolved: "good", enabled: "good", running: "good", better: "good", recovered: "good", delivered: "good",
  degraded: "warn", high: "warn", retrying: "warn", paused: "warn", draining: "warn", skipped: "warn", worse: "warn",
  medium: "mild", pending: "mild",
  unhealthy: "bad", critical: "bad", dead: "bad", active: "bad", failed: "bad", error: "bad",
};

/** A state as a word with a shape: `<StatusBadge state="degraded" />`; `tone` (good, warn, mild, bad, none) where it is not known here. */
export function StatusBadge({ state, tone = TONES[state] ?? "none", label = words(state) }) {
  return html`<span class="badge tone-${tone}"><${Shape} tone=${tone} />${label}</span>`;
}

/** A part of a page with a heading; `aside` stands at its right. */
export function Card({ title, aside, note, children, flush = false }) {
  return html`
    <section class="card ${flush ? "flush" : ""}">
      ${title && html`<header class="card-head"><div><h2>${title}</h2>${note && html`<p class="note">${note}</p>`}</div>${aside}</header>`}
      ${children}
    </section>`;
}

/** Nothing there: says why, and what to do next, with a command to copy. */
export function Empty({ title, children, example }) {
  return html`
    <div class="empty">
      <p class="empty-title">${title}</p>
      ${children && html`<p>${children}</p>`}
      ${example && html`<div class="example"><pre tabindex="0" role="region" aria-label="Example">${example}</pre><${Copy} text=${example} /></div>`}
    </div>`;
}

/** What went wrong, in the words of the server, and what to do. */
export function ErrorNote({ error, onRetry }) {
  if (!error) return null;
  return html`
    <div class="error-note" role="alert">
      <${Shape} tone="bad" />
      <div>
        <strong>${error.title ?? "Something went wrong"}</strong>
        <p>${error.detail ?? error.message}</p>
        ${error.errors?.length > 0 && html`<ul>${error.errors.map((fault) => html`<li><code>${fault.pointer}</code> ${fault.detail}</li>`)}</ul>`}
        <p class="note">${advice(error)}</p>
      </div>
      ${onRetry && html`<${Button} onClick=${onRetry}>Try again</${Button}>`}
    </div>`;
}

function advice(error) {
  if (error.status === 0) return "It is asked again by itself; what you see is the last that was known.";
  if (error.status === 403) return "Sign in with a key that has the scope for it.";
  if (error.status === 404) return "This server may be older than this page, or what you look for was removed.";
  if (error.status === 429) return "Too many questions: it goes on by itself in a moment.";
  if (error.status >= 500) return "It is asked again by itself. `dogwatch doctor` says what is wrong with Postgres and Redis.";
  return "";
}

/** Lines where content will be; only before the first answer. */
export const Skeleton = ({ lines = 4 }) => html`
  <div class="skeleton" role="status"><span class="visually-hidden">Loading</span>${Array.from({ length: lines }, () => html`<i />`)}</div>`;

/** What a poll has: skeleton, error, or `children(data)`. Old data is dimmed while the new is on its way. */
export function Loaded({ poll, lines, children }) {
  const isWrong = poll.error && (poll.data === null || !poll.error.isPassing);
  return html`
    <div class="loaded">
      ${isWrong && html`<${ErrorNote} error=${poll.error} onRetry=${poll.refresh} />`}
      ${poll.data === null
        ? !isWrong && html`<${Skeleton} lines=${lines} />`
        : html`<div class=${poll.isOld ? "is-old" : ""}>${children(poll.data)}</div>`}
    </div>`;
}

/**
 * A button that shows that its work is under way, and says where it failed. `onClick` may return a promise.
 * `why` disables it and says the reason.
 */
export function Button({ onClick, why, kind = "", children, type = "button", ...rest }) {
  const [isPending, setPending] = useState(false);
  const isThere = useRef(true);
  useEffect(() => () => { isThere.current = false; }, []);
  async function click(event) {
    if (isPending || why) return;
    setPending(true);
    try {
      await onClick?.(event);
    } catch (error) {
      say(error.detail ?? error.message, "bad");
    } finally {
      if (isThere.current) setPending(false);
    }
  }
  return html`
    <button type=${type} class="button ${kind}" onClick=${type === "submit" ? undefined : click} aria-busy=${isPending}
      aria-disabled=${Boolean(why)} title=${why || undefined} ...${rest}>
      ${children}${why && html`<span class="visually-hidden"> (${why})</span>`}
    </button>`;
}

/** Copies `text`, and says so. */
export function Copy({ text, label = "Copy" }) {
  const [isDone, setDone] = useState(false);
  async function copy() {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  }
  return html`
    <${Button} kind="quiet small" onClick=${copy}><${Icon} name=${isDone ? "check" : "copy"} /> <span aria-live="polite">${isDone ? "Copied" : label}</span></${Button}>`;
}

/** A modal dialog. It stays open while the page behind it is renewed. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    const element = dialog.current;
    element.showModal();
    return () => {
      // While it is open, nothing behind it takes the focus.
      element.close();
      before?.focus?.();
    };
  }, []);
  return html`
    <dialog ref=${dialog} aria-label=${title} onClose=${onClose} onClick=${(event) => event.target === dialog.current && dialog.current.close()}>
      <div class="dialog">
        <header><h2>${title}</h2><button type="button" class="button quiet icon-only" aria-label="Close" onClick=${() => dialog.current.close()}><${Icon} name="close" /></button></header>
        ${children}
      </div>
    </dialog>`;
}

/** `3 min ago`, with the exact time in its title. */
export function Time({ at, none = "never" }) {
  const now = useNow(10_000);
  if (!at) return html`<span class="faint">${none}</span>`;
  return html`<time datetime=${at} title=${exact(at)}>${ago(at, now)}</time>`;
}

/** A line of points without axes: how a figure went. `label` says it in words. */
export function Sparkline({ values, label, tone = "" }) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length < 2) return null;
  const top = Math.max(...known) || 1;
  const step = 100 / (values.length - 1);
  let path = "";
  values.forEach((value, index) => {
    if (value === null || value === undefined) return;
    const isFirst = path === "" || values[index - 1] === null || values[index - 1] === undefined;
    path += `${isFirst ? "M" : "L"}${(index * step).toFixed(1)} ${(22 - (value / top) * 20).toFixed(1)}`;
  });
  return html`
    <svg class="sparkline ${tone}" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=${label}>
      <path d=${path} fill="none" stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke" stroke-linejoin="round" />
    </svg>`;
}

/** A share of a whole as a bar; the number stands beside it as text. */
export const Bar = ({ part }) => html`
  <svg class="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect class="bar-all" width="100" height="4" /><rect class="bar-part" width=${Math.max(part * 100, 0.5)} height="4" /></svg>`;

const toasts = new EventTarget();

/** A short message at the bottom of the page: what an action did. Tone: good or bad. */
export function say(text, tone = "good") {
  toasts.dispatchEvent(new CustomEvent("say", { detail: { text, tone } }));
}

export function Toasts() {
  const [items, setItems] = useState([]);
  useEffect(() => {
    const hear = ({ detail }) => {
      const item = { ...detail, key: Symbol("toast") };
      setItems((old) => [...old, item]);
      setTimeout(() => setItems((old) => old.filter((other) => other !== item)), detail.tone === "bad" ? 9_000 : 4_000);
    };
    toasts.addEventListener("say", hear);
    return () => toasts.removeEventListener("say", hear);
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite">${items.map((item) => html`<div class="toast tone-${item.tone}"><${Shape} tone=${item.tone} />${item.text}</div>`)}</div>`;
}
