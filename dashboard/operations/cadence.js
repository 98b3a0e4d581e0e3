// When a schedule is due, in words. What is too special for a sentence stays a cron expression.

const UNITS = { d: ["day", 86_400], h: ["hour", 3_600], m: ["minute", 60], s: ["second", 1] };
const DAYS = {
  SUN: "Sunday", MON: "Monday", TUE: "Tuesday", WED: "Wednesday", THU: "Thursday", FRI: "Friday", SAT: "Saturday",
};

/** `every 30s` → `Every 30 seconds`; `0 6 * * *` → `Every day at 06:00 UTC`. Null: there is no good sentence. */
export function cadenceInWords(when) {
  const interval = when.match(/^every (\S+)$/);
  if (interval) return everyInterval(interval[1]);
  const parts = when.split(/\s+/);
  // Days are names, so a last part that no field can have is a time zone.
  const zone = /[/]\D|^[A-Z][a-z]/.test(parts.at(-1)) && parts.length > 5 ? parts.pop().replaceAll("_", " ") : "UTC";
  if (parts.length === 6 && parts[0] === "0") parts.shift();
  return parts.length === 5 ? fromFields(parts, zone) : null;
}

function everyInterval(text) {
  const found = [...text.matchAll(/(\d+)([dhms])/g)];
  if (found.length === 0 || found.map((part) => part[0]).join("") !== text) return null;
  return `Every ${found.map(([, number, unit]) => amount(Number(number), UNITS[unit][0], found.length > 1)).join(" ")}`;
}

function amount(number, unit, isPart = false) {
  if (number === 1) return isPart ? `1 ${unit}` : unit;
  return `${number} ${unit}s`;
}

function fromFields([minute, hour, day, month, weekday], zone) {
  if (month !== "*") return null;
  const days = dayWords(day, weekday);
  if (days === null) return null;
  const step = (field) => field.match(/^\*\/(\d+)$/)?.[1];
  const isAnyDay = day === "*" && weekday === "*";
  const on = isAnyDay ? "" : `, ${days}`;
  if (hour === "*" && minute === "*") return `Every minute${on}`;
  // Only a step that divides the hour or the day comes at even intervals.
  if (hour === "*" && step(minute) && 60 % step(minute) === 0) return `Every ${amount(Number(step(minute)), "minute")}${on}`;
  if (!/^\d+$/.test(minute)) return null;
  const past = minute === "0" ? "on the hour" : `at ${amount(Number(minute), "minute", true)} past`;
  if (hour === "*") return `Every hour ${past}${on}`;
  if (step(hour) && 24 % step(hour) === 0) return `Every ${amount(Number(step(hour)), "hour")} ${past}${on}`;
  if (!/^\d+(,\d+)*$/.test(hour)) return null;
  const times = hour.split(",").map((each) => `${each.padStart(2, "0")}:${minute.padStart(2, "0")}`);
  const first = isAnyDay ? "Every day" : days.charAt(0).toUpperCase() + days.slice(1);
  return `${first} at ${times.join(", ")} ${zone}`;
}

function dayWords(day, weekday) {
  if (day === "*" && weekday === "*") return "every day";
  if (day !== "*" && weekday !== "*") return null;
  if (day !== "*") return /^\d+$/.test(day) ? `on day ${day} of the month` : null;
  const names = weekday.toUpperCase().split(",").map((part) => part.split("-").map((name) => DAYS[name]));
  if (names.flat().some((name) => !name)) return null;
  return names.map((range) => (range.length === 2 ? `${range[0]} to ${range[1]}` : `every ${range[0]}`)).join(", ");
}
