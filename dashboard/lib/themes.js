// Light and dark: what the system prefers, until the person chooses.

import { useEffect, useState } from "../vendor/htm-preact.js";

const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
function tell() {
  colors.clear();
  listeners.forEach((listener) => listener());
}
system.addEventListener("change", tell);

export const theme = () => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");

export function toggleTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem("theme", next);
  } catch {
    // Storage is off: it holds for this page alone.
  }
  tell();
}

export function onThemeChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useTheme() {
  const [value, setValue] = useState(theme());
  useEffect(() => onThemeChange(() => setValue(theme())), []);
  return value;
}

/** Colours of the theme that were looked up: each time the browser works out styles anew. */
const colors = new Map();

/** A colour of the tokens as a canvas can take it, such as `color("--accent")`. */
export function color(token) {
  if (!colors.has(token)) colors.set(token, computed(token));
  return colors.get(token);
}

function computed(token) {
  const probe = document.createElement("i");
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
