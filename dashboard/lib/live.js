// Answers that stay current: each is asked again every few seconds while somebody looks, and less often while the server
// does not answer. What was known stays on the page until there is something newer.

import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/htm-preact.js";
import { get, preloaded } from "./api.js";

const EVERY_MS = 5_000;
const LONGEST_MS = 60_000;
/** Answers and when they came, by path, so that going back shows at once what was there. */
const known = new Map();
const KNOWN_MAX = 60;
/** One that is no older is not asked for again. */
const FRESH_MS = 1_000;
/** So long the first view waits for what was preloaded. A view in one go is there sooner than one in five parts. */
const PATIENCE_MS = 250;

/** Polls that fail now: when the last answer of each came, and when it is asked again. */
const failing = new Map();
const watchers = new Set();
const retries = new Set();
let lastAnswer = null;

function remember(path, data) {
  known.delete(path);
  lastAnswer = Date.now();
  known.set(path, { data, at: lastAnswer });
  if (known.size > KNOWN_MAX) known.delete(known.keys().next().value);
}

const tell = () => watchers.forEach((watcher) => watcher());

/** Asks every poll of the page again now. */
export const retryNow = () => retries.forEach((retry) => retry());

/** The answer that is known; null where there is none. */
export const answerTo = (path) => known.get(path)?.data ?? null;

/** Resolves when the preloaded answers are known, or have kept us waiting. */
export function whenPreloaded() {
  const answers = [...preloaded()].map(([path, answer]) => answer.then((data) => remember(path, data)));
  const isLate = new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS); });
  return Promise.race([Promise.allSettled(answers), isLate]);
}

/** Forgets all answers: another person may be signed in. */
export const forgetAnswers = () => known.clear();

/**
 * The answer of GET `path`, asked again every `every` milliseconds. `path` null asks nothing.
 * data: the newest answer, null before the first; isOld: it is the answer to what was asked before;
 * error: why there is none now; refresh(): asks at once, after an action.
 */
export function usePoll(path, { every = EVERY_MS } = {}) {
  const [state, setState] = useState(() => ({ path, data: answerTo(path), error: null }));
  const refresh = useRef(() => {});

  // Asked before the page is painted, and not a frame later.
  useLayoutEffect(() => {
    if (!path) return undefined;
    const key = Symbol(path);
    let timer = null;
    let control = null;
    let failures = 0;
    let isOver = false;

    async function ask() {
      clearTimeout(timer);
      control?.abort();
      control = new AbortController();
      const mine = control;
      let pause = every;
      try {
        const data = await get(path, { signal: mine.signal });
        if (isOver || mine !== control) return;
        failures = 0;
        failing.delete(key);
        remember(path, data);
        setState({ path, data, error: null });
      } catch (error) {
        if (isOver || mine !== control || error.name === "AbortError") return;
        failures += 1;
        pause = error.isPassing ? error.retryAfterMs ?? Math.min(every * 2 ** failures, LONGEST_MS) : LONGEST_MS;
        if (error.isPassing) {
          failing.set(key, { since: failing.get(key)?.since ?? lastAnswer ?? Date.now(), next: Date.now() + pause, error });
        }
        setState((old) => ({ ...old, error, failedPath: path }));
      }
      tell();
      if (!document.hidden) timer = setTimeout(ask, pause);
    }

    const onVisible = () => (document.hidden ? clearTimeout(timer) : ask());
    refresh.current = ask;
    retries.add(ask);
    document.addEventListener("visibilitychange", onVisible);
    const before = known.get(path);
    if (before && before.data !== state.data) setState({ path, data: before.data, error: null });
    if (before && Date.now() - before.at < FRESH_MS) timer = setTimeout(ask, every);
    else ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
      control?.abort();
      failing.delete(key);
      retries.delete(ask);
      document.removeEventListener("visibilitychange", onVisible);
      tell();
    };
  }, [path, every]);

  const isOld = state.data !== null && state.path !== path;
  return {
    data: state.data,
    error: state.failedPath === path || state.path === path ? state.error : null,
    isOld,
    isLoading: state.data === null && !state.error,
    refresh: () => refresh.current(),
  };
}

/** How the connection is: `{lastAnswer, stale: null | {since, next, error}}`. */
export function useConnection() {
  const [, render] = useState(0);
  useEffect(() => {
    const watcher = () => render((n) => n + 1);
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  }, []);
  const oldest = [...failing.values()].sort((a, b) => a.since - b.since)[0] ?? null;
  return { lastAnswer, stale: oldest };
}

/** The time now, renewed every `every` milliseconds, for what says `3 min ago`. */
const clocks = new Map();
export function useNow(every = 10_000) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const clock = clocks.get(every) ?? { ticks: new Set(), timer: null };
    clocks.set(every, clock);
    clock.ticks.add(setNow);
    clock.timer ??= setInterval(() => clock.ticks.forEach((tick) => tick(Date.now())), every);
    return () => {
      clock.ticks.delete(setNow);
      if (clock.ticks.size === 0) {
        clearInterval(clock.timer);
        clock.timer = null;
      }
    };
  }, [every]);
  return now;
}
