// What the address asks for: a window of time and filters.

const DEFAULT_HOURS = 1;

export const params = () => new URLSearchParams(location.search);

/** The window of time that is asked for: `{hours}`, or `{since, until}` where until may be open. */
export function timeRange(from = params()) {
  if (from.has("since")) return { since: from.get("since"), until: from.get("until") };
  const hours = Number.parseInt(from.get("hours"), 10);
  return { hours: hours >= 1 && hours <= 8784 ? hours : DEFAULT_HOURS };
}

/** How many hours back the window begins: for questions that know hours alone. */
export function hoursBack(from = params()) {
  const range = timeRange(from);
  if (range.hours) return range.hours;
  const hours = Math.ceil((Date.now() - Date.parse(range.since)) / 3_600_000);
  return Math.min(Math.max(hours || 1, 1), 8784);
}

/** A path of the API with the window, the filters, and `extra`. */
export function asked(path, extra = {}, names = ["tenant", "service"]) {
  const now = params();
  const range = timeRange(now);
  const query = new URLSearchParams();
  for (const name of ["hours", "since", "until"]) if (range[name]) query.set(name, range[name]);
  for (const name of names) if (now.get(name)) query.set(name, now.get(name));
  return address(path, query, extra);
}

/** A path with the parameters of `query` and `extra`, where null takes one away. */
export function address(path, query, extra) {
  for (const [name, value] of Object.entries(extra)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}
