// The head of a page: its title, and the filters that it heeds.

import { html, useEffect, useState } from "../vendor/htm-preact.js";
import { get } from "./api.js";
import { asked, timeRange } from "./asked.js";
import { useSession } from "./session.js";
import { Dialog } from "./ui.js";
import { hrefHere, navigate, useLocation } from "./url.js";
import { shortTime } from "./format.js";

const RANGES = [[1, "1 h"], [6, "6 h"], [24, "24 h"], [168, "7 d"], [720, "30 d"]];
const SPOKEN = { 1: "last hour", 6: "last 6 hours", 24: "last 24 hours", 168: "last 7 days", 720: "last 30 days" };

/**
 * title: text of the heading; trail: links that stand before it; filters: any of "time", "service", "tenant";
 * actions: what stands at the right of the heading.
 */
export function Page({ title, trail, filters = [], actions, children }) {
  useEffect(() => { document.title = `${title} · Dogwatch`; }, [title]);
  return html`
    <div class="page-head">
      <div class="page-title">${trail && html`<nav class="trail" aria-label="Where this is">${trail}</nav>`}<h1>${title}</h1></div>
      ${filters.length > 0 && html`<${Filters} names=${filters} />`}
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
    <div class="page">${children}</div>`;
}

/** The window in words, to stand in a sentence: `in the last hour`, or from when to when. */
export function rangeWords(range = timeRange()) {
  if (range.hours) return `in the ${SPOKEN[range.hours] ?? `last ${range.hours} hours`}`;
  return `from ${fromTo(range)}`;
}

const fromTo = ({ since, until }) => `${shortTime(since)} to ${until ? shortTime(until) : "now"}`;

function Filters({ names }) {
  const session = useSession();
  return html`
    <div class="filters" role="group" aria-label="Filters">
      ${names.includes("service") && html`<${NameFilter} name="service" label="Service" placeholder="All services" suggest=${services} />`}
      ${names.includes("tenant") && !session.isTenant && html`<${NameFilter} name="tenant" label="Tenant" placeholder="All tenants" suggest=${tenants} />`}
      ${names.includes("time") && html`<${TimeFilter} />`}
    </div>`;
}

const unique = (values) => [...new Set(values.filter(Boolean))].sort();
const services = () => get("/performance/metrics/endpoints?hours=24&limit=500").then(({ items }) => unique(items.map((item) => item.service)));
const tenants = () => get("/performance/metrics/slow-requests?hours=24&threshold_ms=50&limit=500").then(({ items }) => unique(items.map((item) => item.tenant)));

/** A name to filter by: free text, with the names that are known as suggestions once somebody looks for one. */
function NameFilter({ name, label, placeholder, suggest }) {
  const { params } = useLocation();
  const value = params.get(name) ?? "";
  const [known, setKnown] = useState(null);
  const apply = (event) => navigate(hrefHere({ [name]: event.target.value.trim() }));
  const look = () => known ?? suggest().then(setKnown, () => setKnown([]));
  return html`
    <label class="name-filter ${value ? "is-set" : ""}">
      <span class="visually-hidden">${label}</span>
      <input type="search" list="known-${name}" value=${value} placeholder=${placeholder} autocomplete="off" spellcheck=${false}
        onFocus=${look} onChange=${apply} onSearch=${apply} />
      <datalist id="known-${name}">${(known ?? []).map((text) => html`<option value=${text} />`)}</datalist>
    </label>`;
}

function TimeFilter() {
  useLocation();
  const range = timeRange();
  const [isOpen, setOpen] = useState(false);
  return html`
    <div class="ranges" role="group" aria-label="Time range">
      ${RANGES.map(([hours, label]) => html`
        <a href=${hrefHere({ hours: hours === 1 ? null : hours, since: null, until: null })} title=${SPOKEN[hours]}
          aria-current=${range.hours === hours ? "true" : undefined}>${label}</a>`)}
      <button type="button" aria-haspopup="dialog" aria-pressed=${Boolean(range.since)} onClick=${() => setOpen(true)}>${range.since ? fromTo(range) : "Custom"}</button>
    </div>
    ${isOpen && html`<${RangeDialog} range=${range} onClose=${() => setOpen(false)} />`}`;
}

const twoDigits = (number) => String(number).padStart(2, "0");
/** As an input of date and time takes it: local time. */
const localTime = (time) => {
  const at = new Date(time);
  return `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}T${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}`;
};

function RangeDialog({ range, onClose }) {
  const [error, setError] = useState("");
  const since = range.since ?? Date.now() - range.hours * 3_600_000;
  function submit(event) {
    event.preventDefault();
    const form = new FormData(event.target);
    const from = new Date(form.get("since"));
    const to = form.get("until") ? new Date(form.get("until")) : null;
    if (from >= (to ?? new Date())) return setError("The begin has to be before the end.");
    onClose();
    return navigate(hrefHere({ hours: null, since: from.toISOString(), until: to?.toISOString() ?? null }));
  }
  return html`
    <${Dialog} title="Time range" onClose=${onClose}>
      <form class="form" onSubmit=${submit}>
        <label>From<input type="datetime-local" name="since" required value=${localTime(since)} /></label>
        <label>To<input type="datetime-local" name="until" value=${range.until ? localTime(range.until) : ""} /></label>
        <p class="note">Your local time. Without an end it stays live.</p>
        ${error && html`<p class="form-error" role="alert">${error}</p>`}
        <div class="form-actions"><button type="submit" class="button primary">Apply</button></div>
      </form>
    </${Dialog}>`;
}

/** How often to ask about a window: what is over changes seldom. */
export const pace = () => (timeRange().until ? 60_000 : 5_000);

/** A poll's path for the metrics of this page's window. */
export const askedMetrics = (name, extra, names) => asked(`/performance/metrics/${name}`, extra, names);
