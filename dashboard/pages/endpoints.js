// All endpoints of a window, and the slowest of their requests.

import { html } from "../vendor/htm-preact.js";
import { columns, endpointKey } from "../lib/endpoints.js";
import { plural } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { askedMetrics, pace, Page, rangeWords } from "../lib/page.js";
import { SlowRequests } from "../lib/slow-requests.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded } from "../lib/ui.js";
import { hrefHere, useParam } from "../lib/url.js";

const LIMIT = 500;
const THRESHOLDS = ["100", "500", "1000", "5000"];
const shown = [
  columns.endpoint, columns.count, columns.errors, columns.mean, columns.p50, columns.p95, columns.p99, columns.max, columns.change,
];

export default function Endpoints() {
  const [text, setText] = useParam("q");
  const poll = usePoll(askedMetrics("endpoints", { limit: LIMIT }), { every: pace() });
  const all = poll.data?.items ?? [];
  const rows = all.filter((row) => endpointKey(row).toLowerCase().includes(text.trim().toLowerCase()));
  const note = poll.data && (text ? `${rows.length} of ${all.length}` : plural(all.length, "endpoint")) + (poll.data.next_cursor ? `: the ${LIMIT} busiest` : "");
  return html`
    <${Page} title="Endpoints" filters=${["service", "tenant", "time"]}>
      <${Card} flush title="All endpoints" note=${note} aside=${html`<${FilterBox} value=${text} onInput=${setText} label="Filter endpoints" />`}>
        <${Loaded} poll=${poll} lines=${10}>
          ${() => (rows.length > 0
            ? html`<${Table} caption="Endpoints" columns=${shown} rows=${rows} rowKey=${endpointKey} sort="-count" />`
            : html`<${Nothing} text=${text} />`)}
        </${Loaded}>
      </${Card}>
      <${Slow} />
    </${Page}>`;
}

/** A box that filters what is on the page already. */
const FilterBox = ({ value, onInput, label }) => html`
  <input type="search" data-filter aria-label=${label} placeholder="Filter  ( / )" value=${value} onInput=${(event) => onInput(event.target.value)} spellcheck=${false} />`;

function Nothing({ text }) {
  if (text) return html`<${Empty} title="No endpoint has “${text}” in its name"><a href=${hrefHere({ q: null })}>Show all</a></${Empty}>`;
  return html`
    <${Empty} title="No requests ${rangeWords()}" example=${`export OTEL_SERVICE_NAME=shop\nexport OTEL_EXPORTER_OTLP_ENDPOINT=${location.protocol}//${location.hostname}:4318`}>
      Choose a longer time range or fewer filters; or let a service with OpenTelemetry send its spans here.
    </${Empty}>`;
}

function Slow() {
  const [threshold, setThreshold] = useParam("threshold", "1000");
  const poll = usePoll(askedMetrics("slow-requests", { threshold_ms: threshold, limit: 25 }), { every: Math.max(pace(), 10_000) });
  const choice = html`
    <label class="choice">At least
      <select value=${threshold} onChange=${(event) => setThreshold(event.target.value)}>
        ${THRESHOLDS.map((value) => html`<option value=${value} selected=${value === threshold}>${value < 1000 ? `${value} ms` : `${value / 1000} s`}</option>`)}
      </select>
    </label>`;
  return html`
    <${Card} flush title="Slow requests" note="The slowest ${rangeWords()}, at most 25" aside=${choice}>
      <${Loaded} poll=${poll} lines=${6}>
        ${({ items }) => (items.length > 0
          ? html`<${SlowRequests} items=${items} />`
          : html`<${Empty} title="No request took that long">Choose a lower threshold to see the slowest there were.</${Empty}>`)}
      </${Loaded}>
    </${Card}>`;
}
