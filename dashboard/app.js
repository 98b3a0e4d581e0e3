// The entry: asks who looks, then shows the page of the address.

import { html, render, useEffect, useErrorBoundary, useLayoutEffect, useRef, useState } from "./vendor/htm-preact.js";
import { get } from "./lib/api.js";
import { answerTo, forgetAnswers, whenPreloaded } from "./lib/live.js";
import { Session, session } from "./lib/session.js";
import { Empty, ErrorNote, Skeleton } from "./lib/ui.js";
import { followLinks, href, navigate, useLocation } from "./lib/url.js";
import { routeOf } from "./routes.js";
import { Shell } from "./shell.js";

const pages = new Map();

const SIGN_IN = { file: "sign-in" };

/** Loads the file of a page, once; a promise of it. */
function load({ file }) {
  if (!file) return null;
  if (pages.has(file)) return pages.get(file).whenLoaded;
  const page = { whenLoaded: null };
  pages.set(file, page);
  page.whenLoaded = import(`./pages/${file}.js`)
    .then((module) => { page.view = module.default; })
    .catch((error) => { page.error = { title: "This page could not be loaded", detail: error.message }; });
  return page.whenLoaded;
}

/** The component of a page; null until its file is there. */
function usePage(route) {
  const [, render] = useState(0);
  load(route);
  const page = pages.get(route.file);
  const isHere = Boolean(page?.view || page?.error);
  useEffect(() => {
    if (!page || isHere) return undefined;
    let isOver = false;
    page.whenLoaded.then(() => isOver || render((n) => n + 1));
    return () => { isOver = true; };
  }, [page]);
  return isHere ? page : null;
}

function Page({ route, ...rest }) {
  const page = usePage(route ?? {});
  const [broken, recover] = useErrorBoundary((error) => console.error(error));
  useEffect(recover, [route]);
  if (!route) {
    return html`<${Empty} title="There is no such page">Choose another in the menu, or go to the <a href=${href("/")}>overview</a>.</${Empty}>`;
  }
  if (broken) return html`<${ErrorNote} error=${{ title: "This page broke", detail: `${broken.message}. Load it again; if it stays so, tell us.` }} />`;
  if (!page) return html`<${Skeleton} lines=${8} />`;
  if (page.error) return html`<${ErrorNote} error=${page.error} />`;
  return html`<${page.view} ...${rest} />`;
}

/** After a link was followed: to the top, and the focus to the heading, so that a reader that speaks says where one is. */
function useArrival(path) {
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) {
      isFirst.current = false;
      return;
    }
    window.scrollTo(0, 0);
    document.getElementById("main")?.focus({ preventScroll: true });
  }, [path]);
}

function App() {
  const { path } = useLocation();
  const [who, setWho] = useState(() => answerTo("/session") && session(answerTo("/session")));
  const [error, setError] = useState(null);
  useArrival(path);

  const toSignIn = () => {
    if (location.pathname === "/sign-in") return;
    setWho(null);
    forgetAnswers();
    navigate(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
  };
  const ask = () => get("/session").then(
    (answer) => { setError(null); setWho(session(answer)); },
    (failure) => (failure.status === 401 ? toSignIn() : setError(failure)),
  );

  // Before anything is painted: a frame later would be a frame lost.
  useLayoutEffect(() => {
    window.addEventListener("unauthorized", toSignIn);
    if (location.pathname !== "/sign-in" && !who) ask();
    return () => window.removeEventListener("unauthorized", toSignIn);
  }, []);

  const isHere = who !== null;
  // Until the server is there, ask again: it may just be starting.
  useEffect(() => {
    if (isHere || !error?.isPassing) return undefined;
    const timer = setInterval(ask, 5_000);
    return () => clearInterval(timer);
  }, [isHere, error]);

  if (path === "/sign-in") return html`<${Page} key=${path} route=${SIGN_IN} onSignedIn=${(answer) => setWho(session(answer))} />`;
  if (!who) return html`<div class="alone">${error ? html`<${ErrorNote} error=${error} onRetry=${ask} />` : html`<${Skeleton} />`}</div>`;
  const route = routeOf(path);
  return html`
    <${Session.Provider} value=${who}>
      <${Shell} route=${route} onSignedOut=${() => { setWho(null); forgetAnswers(); navigate("/sign-in"); }}>
        <${Page} key=${path} route=${route} />
      </${Shell}>
    </${Session.Provider}>`;
}

followLinks();
// All of it at once: each further view that is laid out and painted costs as much as the first.
await Promise.all([whenPreloaded(), load(routeOf(location.pathname) ?? {})]);
render(html`<${App} />`, document.getElementById("app"));
