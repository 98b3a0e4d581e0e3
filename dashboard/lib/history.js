// How requests, or calls of a query, went over time: the charts that several pages share.

import { html, useMemo } from "../vendor/htm-preact.js";
import { Chart, Legend } from "./chart.js";
import { count, ms, percent, plural } from "./format.js";
import { rangeWords } from "./page.js";
import { Card } from "./ui.js";

/** The points of a history as one array for each figure. */
export function useColumns(history) {
  return useMemo(() => {
    const points = history?.points ?? [];
    const column = (name) => points.map((point) => point[name]);
    return {
      at: column("at"),
      count: whole(points, history?.step_ms ?? 60_000),
      errors: column("errors"),
      // Of no requests no part failed.
      errorRate: points.map((point) => (point.count > 0 ? point.errors / point.count : null)),
      p50: column("p50_ms"),
      p95: column("p95_ms"),
      p99: column("p99_ms"),
      step: stepWords(history?.step_ms ?? 60_000),
    };
  }, [history]);
}

/** The counts, without that of a step that is not over: it would look like a fall. */
function whole(points, stepMs) {
  const now = Date.now();
  return points.map(({ at, count: number }, index) =>
    (index > 0 && index === points.length - 1 && Date.parse(at) + stepMs > now ? null : number));
}

function stepWords(stepMs) {
  const minutes = stepMs / 60_000;
  if (minutes === 1) return "minute";
  if (minutes < 60) return `${minutes} min`;
  if (minutes === 60) return "hour";
  return minutes % 1_440 === 0 ? (minutes === 1_440 ? "day" : `${minutes / 1_440} days`) : `${minutes / 60} h`;
}

const countTick = (value) => (value === null || value === undefined || Number.isInteger(value) ? count(value) : "");

/** Percentiles over time; markers are where a shift was found. */
export function LatencyCard({ history, title = "Response time", markers = [], height = 236 }) {
  const columns = useColumns(history);
  const series = useMemo(() => [
    { label: "p50", values: columns.p50, color: "--series-1", width: 1.5 },
    { label: "p95", values: columns.p95, color: "--series-2", width: 2 },
    { label: "p99", values: columns.p99, color: "--series-3", width: 1.5, dash: [5, 3] },
  ], [columns]);
  return html`
    <${Card} title=${title} aside=${html`<${Legend} series=${series} markers=${markers} />`}>
      <${Chart} label="${title} ${rangeWords()}" at=${columns.at} series=${series} format=${ms} markers=${markers} height=${height} />
    </${Card}>`;
}

/** How many requests there were, and which part of them failed. */
export function TrafficCard({ history, title = "Requests and errors", unit = "request", markers = [] }) {
  const columns = useColumns(history);
  const name = unit === "request" ? "Requests" : "Calls";
  const counts = useMemo(() => [{ label: name, values: columns.count, color: "--series-bars", kind: "bars" }], [columns, name]);
  const rates = useMemo(() => [{ label: "Errors", values: columns.errorRate, color: "--series-bad", kind: "bars" }], [columns]);
  const total = columns.count.reduce((sum, value) => sum + value, 0);
  return html`
    <${Card} title=${title} aside=${html`<${Legend} series=${[...counts, ...rates].map((one) => ({ ...one, label: one.label === "Errors" ? "Errors, % of them" : `${name} each ${columns.step}` }))} />`}>
      <${Chart} label="${name} each ${columns.step} ${rangeWords()}, ${plural(total, unit)} in all" at=${columns.at} series=${counts} format=${countTick} height=${124} hasTimes=${false} />
      <${Chart} label="Errors, part of ${name.toLowerCase()} ${rangeWords()}" at=${columns.at} series=${rates} format=${percent} least=${0.01} markers=${markers} height=${104} />
    </${Card}>`;
}
