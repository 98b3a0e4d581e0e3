// What stands around every page: menu, state of the connection, keys.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { del } from "./lib/api.js";
import { Icon, Shape } from "./lib/icons.js";
import { KeysHelp, useKeys } from "./lib/keys.js";
import { retryNow, useConnection, useNow } from "./lib/live.js";
import { useSession } from "./lib/session.js";
import { Toasts } from "./lib/ui.js";
import { toggleTheme, useTheme } from "./lib/themes.js";
import { ago, clockWithSeconds, exact } from "./lib/format.js";
import { href, useLocation } from "./lib/url.js";
import { menuFor } from "./routes.js";

export function Shell({ route, onSignedOut, children }) {
  const session = useSession();
  const [isMenuOpen, setMenuOpen] = useState(false);
  const [isHelpOpen, setHelpOpen] = useState(false);
  const { path } = useLocation();
  const menu = menuFor(session);
  useEffect(() => setMenuOpen(false), [path]);
  useKeys(menu, () => setHelpOpen(true));

  const items = menu.map((item, index) => {
    const isHere = item.path === (route?.within ?? route?.path);
    const isNewGroup = item.group !== menu[index - 1]?.group;
    return html`
      ${isNewGroup && html`<li class="menu-group">${item.group}</li>`}
      <li><a href=${href(item.path)} aria-current=${isHere ? "page" : undefined}><${Icon} name=${item.icon} />${item.title}</a></li>`;
  });

  return html`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="topbar">
      <button type="button" class="button quiet icon-only" aria-expanded=${isMenuOpen} aria-controls="menu" aria-label="Menu" onClick=${() => setMenuOpen(!isMenuOpen)}>
        <${Icon} name=${isMenuOpen ? "close" : "menu"} />
      </button>
      <${Brand} />
      <${Live} />
    </header>
    <nav id="menu" class="menu ${isMenuOpen ? "open" : ""}" aria-label="Pages" onKeyDown=${(event) => event.key === "Escape" && setMenuOpen(false)}>
      <${Brand} />
      <ul>${items}</ul>
      <${MenuFoot} session=${session} onHelp=${() => setHelpOpen(true)} onSignedOut=${onSignedOut} />
    </nav>
    <main id="main" tabindex="-1">
      <${StaleNote} />
      ${children}
    </main>
    ${isHelpOpen && html`<${KeysHelp} menu=${menu} onClose=${() => setHelpOpen(false)} />`}
    <${Toasts} />`;
}

const Brand = () => html`<a class="brand" href=${href("/")}><img src="/assets/icon.svg" width="20" height="20" alt="" />Dogwatch</a>`;

function MenuFoot({ session, onHelp, onSignedOut }) {
  const theme = useTheme();
  const signOut = () => del("/session").finally(onSignedOut);
  return html`
    <div class="menu-foot">
      <${Live} />
      <ul>
        <li><a href="/docs"><${Icon} name="book" />API</a></li>
        <li><button type="button" onClick=${onHelp}><${Icon} name="keyboard" />Shortcuts</button></li>
        <li><button type="button" onClick=${toggleTheme}><${Icon} name="theme" />${theme === "dark" ? "Light theme" : "Dark theme"}</button></li>
        ${session.has_key && html`<li><button type="button" onClick=${signOut}><${Icon} name="out" />Sign out</button></li>`}
      </ul>
      ${session.has_key && html`<p class="who" title=${session.scopes.join(", ")}>${session.name}${session.isTenant ? ` · ${session.tenant}` : ""}</p>`}
    </div>`;
}

/** Whether the page is live, in a word. */
function Live() {
  const { stale, lastAnswer } = useConnection();
  useNow(5_000);
  const title = lastAnswer ? `Last answer: ${exact(lastAnswer)}` : undefined;
  return html`<span class="live tone-${stale ? "warn" : "good"}" title=${title}><${Shape} tone=${stale ? "warn" : "good"} />${stale ? "Stale" : "Live"}</span>`;
}

/** Says since when nothing new came, and when it is asked again. */
function StaleNote() {
  const { stale } = useConnection();
  const now = useNow(1_000);
  const box = useRef(null);
  const text = stale && `Stale since ${clockWithSeconds(stale.since)} (${ago(stale.since, now)}). ${stale.error.detail ?? ""}`;
  const next = stale && Math.max(0, Math.ceil((stale.next - now) / 1_000));
  return html`
    <div class="stale-box" ref=${box} role="status">
      ${stale && html`
        <div class="stale"><${Shape} tone="warn" /><span>${text} <span class="note" aria-hidden="true">Asked again in ${next} s.</span></span>
          <button type="button" class="button small" onClick=${retryNow}>Try now</button></div>`}
    </div>`;
}
