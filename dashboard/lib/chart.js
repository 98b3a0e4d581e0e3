// Charts over time: uPlot, with the colours of the theme, a tooltip, keys, and a description in words.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/htm-preact.js";
import uPlot from "../vendor/uplot.js";
import { clock, dayOf, exact, shortTime } from "./format.js";
import { hrefHere, navigate } from "./url.js";
import { color, onThemeChange } from "./themes.js";

/**
 * label: what it shows, for who does not see it; at: times, one for each value;
 * series: [{ label, values, color: "--series-1", kind: "line" | "bars", width, dash }];
 * format(value): as text with its unit; least: how far the axis goes at the least; hasTimes: whether times stand below;
 * markers: [{ at, text, tone }] are lines from top to bottom.
 */
export function Chart({ label, at, series, format, markers = [], height = 180, least = 1, hasTimes = true }) {
  const box = useRef(null);
  const chart = useRef(null);
  const [spoken, speak] = useState("");
  // What the chart's own handlers read: it is made once, and the data comes anew every few seconds.
  const shown = useRef(null);
  shown.current = { series, format, markers, speak, least, hasTimes };
  const columns = useMemo(() => data(at, series), [at, ...series.map((one) => one.values), markers.length]);
  const kinds = series.map((one) => one.label).join();

  useLayoutEffect(() => {
    chart.current = make(box.current, shown, height, columns);
    const clean = keepFitting(chart.current, box.current, height);
    return () => {
      clean();
      chart.current.destroy();
      chart.current = null;
    };
  }, [kinds, height]);

  useEffect(() => {
    // A chart that was just made has them already.
    if (chart.current.data !== columns) chart.current.setData(columns);
  }, [columns]);

  return html`
    <div class="chart-box"><div class="chart" style=${{ height: `${height}px` }} role="img" tabindex="0" aria-label="${label}. ${summary(series, format)}" ref=${box} onKeyDown=${(event) => step(event, chart.current, shown)}></div>
    <p class="visually-hidden" role="status">${spoken}</p></div>`;
}

/** The names of the series, beside the title of a chart. */
export const Legend = ({ series, markers = [] }) => html`
  <ul class="legend">
    ${series.map((one) => html`<li><${Swatch} ...${one} />${one.label}</li>`)}
    ${markers.length > 0 && html`<li><svg class="swatch" viewBox="0 0 18 10" width="18" height="10" aria-hidden="true"><path d="M9 0v10M5.5 0h7L9 4z" stroke="var(--warn)" fill="var(--warn)" /></svg>Shift found</li>`}
  </ul>`;

function Swatch({ color: token, kind = "line", dash, width = 1.5 }) {
  const stroke = `var(${token})`;
  return html`
    <svg class="swatch" viewBox="0 0 18 10" width="18" height="10" aria-hidden="true">
      ${kind === "bars"
        ? html`<rect x="3" y="1" width="5" height="9" fill=${stroke} /><rect x="10" y="4" width="5" height="6" fill=${stroke} />`
        : html`<path d="M0 5h18" stroke=${stroke} stroke-width=${width + 0.5} stroke-dasharray=${dash?.join(" ")} />`}
    </svg>`;
}

const data = (at, series) => [at.map((time) => Date.parse(time) / 1_000), ...series.map((one) => one.values)];

/** Each series in a sentence. */
function summary(series, format) {
  return series.map(({ label, values }) => {
    const known = values.filter((value) => value !== null && value !== undefined);
    if (known.length === 0) return `${label}: no data.`;
    return `${label}: from ${format(Math.min(...known))} to ${format(Math.max(...known))}, last ${format(known.at(-1))}.`;
  }).join(" ");
}

function make(box, shown, height, values) {
  const tip = box.appendChild(Object.assign(document.createElement("div"), { className: "chart-tip", hidden: true }));
  const axis = { stroke: () => color("--text-faint"), grid: { stroke: () => color("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const plot = new uPlot({
    width: box.clientWidth,
    height,
    padding: [8, 20, shown.current.hasTimes ? 0 : 6, 0],
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, sync: { key: "page", filters: { pub: isMove } }, points: { size: 7 }, y: false },
    scales: { x: { range: withHalfSteps }, y: { range: (_, __, top) => [0, Math.max((top ?? 0) * 1.08, shown.current.least)] } },
    axes: [
      { ...axis, grid: { show: false }, values: (self, times) => timeLabels(self, times), space: 70, size: 24, show: shown.current.hasTimes },
      { ...axis, values: (_, ticks) => ticks.map((tick) => withoutZeros(shown.current.format(tick))), size: fit, space: 36, gap: 6 },
    ],
    series: [{}, ...shown.current.series.map(style)],
    hooks: {
      draw: [(self) => drawMarkers(self, shown.current.markers)],
      setCursor: [(self) => showTip(self, tip, box, shown.current)],
      setSelect: [zoom],
    },
  }, values, box);
  return plot;
}

/** The first and the last bar stand in the chart with their whole width. */
function withHalfSteps(self, first, last) {
  const half = self.data[0].length > 1 ? (self.data[0][1] - self.data[0][0]) / 2 : 30;
  return [first - half, last + half];
}

/** Charts of a page share the cursor, and not what is dragged across. */
const isMove = (type) => type === "mousemove" || type === "mouseleave";

function style({ color: token, kind = "line", width = 1.5, dash }) {
  if (kind === "bars") {
    return { fill: () => color(token), stroke: () => color(token), width: 0, paths: uPlot.paths.bars({ size: [0.72, 40] }), points: { show: false } };
  }
  return { stroke: () => color(token), width, dash, points: { show: false, size: 4, filter: lonely, fill: () => color(token) } };
}

/** A value between two gaps is no line: it is shown as a point. */
function lonely(self, index) {
  const values = self.data[index];
  const isGap = (at) => values[at] === null || values[at] === undefined;
  const found = [];
  values.forEach((value, at) => { if (!isGap(at) && isGap(at - 1) && isGap(at + 1)) found.push(at); });
  return found.length > 0 ? found : null;
}

/** `4.00 s` → `4 s`: along an axis that is enough. */
const withoutZeros = (text) => text.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");

/** As wide as the longest label of the y axis. */
function fit(self, labels) {
  const longest = Math.max(...(labels ?? [""]).map((text) => text.length));
  return Math.max(58, 14 + longest * 6.4);
}

function timeLabels(self, times) {
  const span = self.scales.x.max - self.scales.x.min;
  return times.map((time) => {
    const date = new Date(time * 1_000);
    const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
    if (span > 5 * 86_400 || isMidnight) return dayOf(date);
    return clock(date);
  });
}

function drawMarkers(self, markers) {
  const { ctx, bbox } = self;
  const pixels = window.devicePixelRatio;
  for (const { at, tone = "warn" } of markers) {
    const x = self.valToPos(Date.parse(at) / 1_000, "x", true);
    if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue;
    ctx.save();
    ctx.strokeStyle = color(`--${tone}`);
    ctx.fillStyle = ctx.strokeStyle;
    ctx.lineWidth = pixels;
    ctx.setLineDash([3 * pixels, 3 * pixels]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.beginPath();
    ctx.moveTo(x - 5 * pixels, bbox.top);
    ctx.lineTo(x + 5 * pixels, bbox.top);
    ctx.lineTo(x, bbox.top + 7 * pixels);
    ctx.fill();
    ctx.restore();
  }
}

/** What is at the cursor: the time, each value, and a marker that is near. */
function at(self, index, { series, format, markers }) {
  const time = self.data[0][index];
  const step = (self.data[0][1] ?? time + 60) - self.data[0][0];
  const near = markers.filter((marker) => Math.abs(Date.parse(marker.at) / 1_000 - time) <= step * 1.5);
  return {
    time: shortTime(time * 1_000),
    exactTime: exact(time * 1_000),
    rows: series.map((one, number) => ({ ...one, text: format(self.data[number + 1][index]) })),
    notes: near.map((marker) => marker.text),
  };
}

function showTip(self, tip, box, shown) {
  const { idx, left } = self.cursor;
  // Charts of a page share a cursor; the tip is only where the pointer or the focus is.
  const isMine = box.matches(":hover") || box === document.activeElement;
  tip.hidden = idx === null || idx === undefined || left < 0 || !isMine;
  if (tip.hidden) return;
  const { time, rows, notes } = at(self, idx, shown);
  const line = (className, ...parts) => {
    const element = Object.assign(document.createElement("div"), { className });
    element.append(...parts);
    return element;
  };
  tip.replaceChildren(line("tip-time", time), ...rows.map((row) => {
    const mark = Object.assign(document.createElement("i"), { className: "tip-mark" });
    mark.style.background = `var(${row.color})`;
    const value = Object.assign(document.createElement("b"), { textContent: row.text });
    return line("tip-row", mark, row.label, value);
  }), ...notes.map((text) => line("tip-note", text)));
  const plotLeft = self.over.offsetLeft + left;
  const isRight = plotLeft + tip.offsetWidth + 24 > box.clientWidth;
  tip.style.left = `${Math.max(0, isRight ? plotLeft - tip.offsetWidth - 12 : plotLeft + 12)}px`;
}

/** Dragging across a time looks closer; the browser's back button undoes it. */
function zoom(self) {
  const { left, width } = self.select;
  if (width < 8) return;
  const iso = (x) => new Date(self.posToVal(x, "x") * 1_000).toISOString().replace(/\.\d+Z/, "Z");
  const [since, until] = [iso(left), iso(left + width)];
  self.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  if (since !== until) navigate(hrefHere({ since, until, hours: null }));
}

/** Arrows move the cursor, and read out what is there. */
function step(event, self, shown) {
  const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  if (!self || !(event.key in moves)) return;
  event.preventDefault();
  const last = self.data[0].length - 1;
  const now = self.cursor.left >= 0 ? self.cursor.idx ?? last : last + 1;
  const index = Math.min(Math.max(now + moves[event.key], 0), last);
  self.setCursor({ left: self.valToPos(self.data[0][index], "x"), top: 10 });
  const { time, rows, notes } = at(self, index, shown.current);
  shown.current.speak([time, ...rows.map((row) => `${row.label} ${row.text}`), ...notes].join(", "));
}

function keepFitting(self, box, height) {
  const observer = new ResizeObserver(() => {
    if (box.clientWidth > 0 && box.clientWidth !== self.width) self.setSize({ width: box.clientWidth, height });
  });
  observer.observe(box);
  const forget = onThemeChange(() => self.redraw(false, true));
  const leave = () => self.setCursor({ left: -10, top: -10 });
  box.addEventListener("blur", leave);
  return () => {
    observer.disconnect();
    forget();
    box.removeEventListener("blur", leave);
  };
}
