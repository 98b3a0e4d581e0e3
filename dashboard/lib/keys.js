// Keys for who would rather not reach for the mouse.

import { html, useEffect } from "../vendor/htm-preact.js";
import { toggleTheme } from "./themes.js";
import { Dialog } from "./ui.js";
import { href, navigate } from "./url.js";

const isTyping = (target) => target.closest?.("input, select, textarea, [contenteditable]");

/** `g` and a letter goes to a page, `/` to the filter, `t` turns the theme, `?` shows all of them. */
export function useKeys(menu, showHelp) {
  useEffect(() => {
    let goesTo = 0;
    const press = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
      if (Date.now() < goesTo) {
        goesTo = 0;
        const page = menu.find((item) => item.key === event.key);
        if (page) {
          event.preventDefault();
          navigate(href(page.path));
        }
        return;
      }
      if (event.key === "g") goesTo = Date.now() + 1_500;
      else if (event.key === "t") toggleTheme();
      else if (event.key === "?") showHelp();
      else if (event.key === "/") {
        event.preventDefault();
        const box = document.querySelector("[data-filter]") ?? document.querySelector(".filters input");
        box?.focus();
        box?.select?.();
      }
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [menu, showHelp]);
}

export function KeysHelp({ menu, onClose }) {
  return html`
    <${Dialog} title="Keyboard shortcuts" onClose=${onClose}>
      <dl class="keys">
        <dt><kbd>/</kbd></dt><dd>To the filter</dd>
        <dt><kbd>t</kbd></dt><dd>Dark or light</dd>
        <dt><kbd>?</kbd></dt><dd>This list</dd>
        ${menu.map((item) => html`<dt><kbd>g</kbd> <kbd>${item.key}</kbd></dt><dd>${item.title}</dd>`)}
        <dt><kbd>Esc</kbd></dt><dd>Closes a dialog</dd>
      </dl>
      <p class="note">In a chart, drag across a time to look closer; the back button of the browser undoes it. With the keyboard: arrows read it out.</p>
    </${Dialog}>`;
}
