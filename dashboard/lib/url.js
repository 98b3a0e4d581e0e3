// The address is where the state is: which page, and which filters. So a link shows what its sender saw.

import { useLayoutEffect, useState } from "../vendor/htm-preact.js";
import { address, params } from "./asked.js";

/** What travels with every link. */
const FILTERS = ["hours", "since", "until", "tenant", "service"];
/** Here `service` says which endpoint, and is no choice of the person: it does not travel on. */
const SERVICE_IS_IDENTITY = ["/endpoint"];

const listeners = new Set();
const tell = () => listeners.forEach((listener) => listener());
window.addEventListener("popstate", tell);

/** The path and parameters; renders again when they change. */
export function useLocation() {
  const [, render] = useState(0);
  // Before anything else can happen: an address that changes before the first paint counts too.
  useLayoutEffect(() => {
    const listener = () => render((n) => n + 1);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return { path: location.pathname, params: params() };
}

/** Goes to another address of the dashboard. */
export function navigate(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  tell();
}

/** The address of a page, with the filters that are set now; `extra` adds to them, and null takes one away. */
export function href(path, extra = {}) {
  const now = params();
  const query = new URLSearchParams();
  const serviceStays = !SERVICE_IS_IDENTITY.includes(location.pathname);
  for (const name of FILTERS) {
    if (now.has(name) && (name !== "service" || serviceStays)) query.set(name, now.get(name));
  }
  return address(path, query, extra);
}

/** This page with other parameters. */
export const hrefHere = (extra) => address(location.pathname, params(), extra);

/** A parameter of this page, such as the sort order: it changes without a new step in the history. */
export function useParam(name, fallback = "") {
  const value = useLocation().params.get(name) ?? fallback;
  const set = (next) => navigate(hrefHere({ [name]: next === fallback ? null : next }), { replace: true });
  return [value, set];
}

/** Links of the dashboard are followed without loading the document again; all else is the browser's. */
export function followLinks() {
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest?.("a[href]");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (/^\/(api|assets|docs|openapi\.json)/.test(link.pathname)) return;
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
    event.preventDefault();
    navigate(link.pathname + link.search + link.hash);
  });
}
