// The queries of a window, those that cost most first.

import { html } from "../vendor/htm-preact.js";
import { ms, plural } from "../lib/format.js";
import { usePoll } from "../lib/live.js";
import { askedMetrics, pace, Page, rangeWords } from "../lib/page.js";
import { columns, queryKey } from "../lib/queries.js";
import { Table } from "../lib/table.js";
import { Card, Empty, Loaded } from "../lib/ui.js";
import { hrefHere, useParam } from "../lib/url.js";

const LIMIT = 200;
const THRESHOLDS = [["0", "Any time"], ["10", "10 ms"], ["100", "100 ms"], ["1000", "1 s"]];
const shown = [columns.text, columns.calls, columns.total, columns.mean, columns.p95, columns.max, columns.errors, columns.usedBy];

export default function Queries() {
  const [text, setText] = useParam("q");
  const [threshold, setThreshold] = useParam("threshold", "0");
  const poll = usePoll(askedMetrics("slow-queries", { threshold_ms: threshold, limit: LIMIT }), { every: pace() });
  const all = poll.data?.items ?? [];
  const sought = text.trim().toLowerCase();
  const rows = all.filter((row) => `${row.text} ${row.system} ${row.used_by.map((user) => user.endpoint).join(" ")}`.toLowerCase().includes(sought));
  const total = rows.reduce((sum, row) => sum + row.total_ms, 0);
  const note = poll.data && `${plural(rows.length, "query", "queries")}, ${ms(total)} in all ${rangeWords()}`;
  const tools = html`
    <div class="list-tools">
      <label class="choice">At least
        <select value=${threshold} onChange=${(event) => setThreshold(event.target.value)}>
          ${THRESHOLDS.map(([value, label]) => html`<option value=${value} selected=${value === threshold}>${label}</option>`)}
        </select>
      </label>
      <input type="search" data-filter aria-label="Filter queries" placeholder="Filter  ( / )" value=${text} onInput=${(event) => setText(event.target.value)} spellcheck=${false} />
    </div>`;
  return html`
    <${Page} title="Queries" filters=${["service", "tenant", "time"]}>
      <${Card} flush title="By cost" note=${note} aside=${tools}>
        <${Loaded} poll=${poll} lines=${10}>
          ${() => (rows.length > 0
            ? html`<${Table} caption="Queries" columns=${shown} rows=${rows} rowKey=${queryKey} sort="-total_ms" />`
            : html`<${Nothing} isFiltered=${all.length > 0 || threshold !== "0"} />`)}
        </${Loaded}>
      </${Card}>
    </${Page}>`;
}

function Nothing({ isFiltered }) {
  if (isFiltered) return html`<${Empty} title="No query fits"><a href=${hrefHere({ q: null, threshold: null })}>Show all queries ${rangeWords()}</a></${Empty}>`;
  return html`
    <${Empty} title="No queries ${rangeWords()}" example=${`pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install\nopentelemetry-instrument python app.py`}>
      They come with the spans of your services' database drivers, by OpenTelemetry. Their literals are never kept.
    </${Empty}>`;
}
