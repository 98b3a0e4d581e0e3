// Numbers, durations and times as people read them: one place, so that a figure looks the same on every page.

// By hand: the first object of `Intl` that a page makes takes 25 ms.
const grouped = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const whole = (value) => grouped(value.toFixed(0));
const oneDigit = (value) => grouped(value.toFixed(1));
const twoDigits = (value) => grouped(String(Number(value.toFixed(2))));

/** What stands where a figure is unknown. */
export const NONE = "–";

const isNone = (value) => value === null || value === undefined || Number.isNaN(value);

/** 1,234 up to 99,999; then 123.4 k, 1.2 M. */
export function count(value) {
  if (isNone(value)) return NONE;
  const size = Math.abs(value);
  if (size < 100_000) return whole(value);
  if (size < 1_000_000) return `${oneDigit(value / 1_000)} k`;
  if (size < 1_000_000_000) return `${oneDigit(value / 1_000_000)} M`;
  return `${oneDigit(value / 1_000_000_000)} G`;
}

/** A duration in milliseconds: `0.42 ms`, `12.3 ms`, `456 ms`, `1.23 s`, `4.2 min`, `3 h 5 min`. */
export function ms(value) {
  if (isNone(value)) return NONE;
  if (value < 1) return `${Number(value.toFixed(2))} ms`;
  if (value < 100) return `${Number(value.toFixed(1))} ms`;
  if (value < 1_000) return `${whole(value)} ms`;
  if (value < 10_000) return `${(value / 1_000).toFixed(2)} s`;
  if (value < 60_000) return `${(value / 1_000).toFixed(1)} s`;
  if (value < 3_600_000) return `${Number((value / 60_000).toFixed(1))} min`;
  const hours = Math.floor(value / 3_600_000);
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return `${hours} h ${Math.floor((value % 3_600_000) / 60_000)} min`;
}

/** A part of one, as percent with one digit; what is not zero never looks like zero. */
export function percent(part) {
  if (isNone(part)) return NONE;
  if (part > 0 && part < 0.0005) return "<0.1%";
  return `${(part * 100).toFixed(1)}%`;
}

/** How far `after` is from `before`: a part of `before`, or null where there is nothing to compare. */
export function change(after, before) {
  if (isNone(after) || isNone(before) || before === 0) return null;
  return (after - before) / before;
}

/** `+12%`, `−3%`, `0%`, and `×14` where percent says little. */
export function signedPercent(part) {
  if (isNone(part)) return NONE;
  if (part >= 9) return `×${whole(part + 1)}`;
  const rounded = Math.round(part * 100);
  if (rounded === 0) return "0%";
  return `${rounded > 0 ? "+" : "−"}${Math.abs(rounded)}%`;
}

/** `just now`, `12 s ago`, `4 min ago`, `3 h ago`, `2 d ago`; of the future `in 12 s`. */
export function ago(time, now = Date.now()) {
  const seconds = Math.round((now - new Date(time).getTime()) / 1_000);
  const span = duration(Math.abs(seconds));
  if (Math.abs(seconds) < 2) return "just now";
  return seconds > 0 ? `${span} ago` : `in ${span}`;
}

function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** The parts of `Thu Nov 26 2026 14:05:33 GMT+0100 (Central European Standard Time)`. */
function parts(time) {
  const [, month, date, year, clock, zone] = new Date(time).toString().split(" ");
  return { day: `${month} ${Number(date)}`, year, clock, zone };
}

/** `Nov 26, 2026, 14:05:33 GMT+0100`: for titles. */
export function exact(time) {
  const { day, year, clock, zone } = parts(time);
  return `${day}, ${year}, ${clock} ${zone}`;
}

/** `Nov 26` */
export const dayOf = (time) => parts(time).day;

/** `14:05:33` */
export const clockWithSeconds = (time) => parts(time).clock;

/** `14:05` */
export const clock = (time) => parts(time).clock.slice(0, 5);

/** `14:05`, of today; else with the day. */
export function shortTime(time, now = new Date()) {
  const isToday = new Date(time).toDateString() === now.toDateString();
  return isToday ? clock(time) : `${dayOf(time)}, ${clock(time)}`;
}

/** `active` → `Active`, `error_rate` → `Error rate`. */
export const words = (name) => {
  const text = String(name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** `1 request`, `2,000 requests`. */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A value of an alert in its unit. */
export function inUnit(value, unit) {
  if (isNone(value)) return NONE;
  if (unit === "ms") return ms(value);
  if (unit === "percent" || unit === "%") return `${Number(value.toFixed(1))}%`;
  return unit ? `${twoDigits(value)} ${unit}` : twoDigits(value);
}
