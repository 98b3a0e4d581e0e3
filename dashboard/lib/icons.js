// Small pictures beside words; a reader that speaks leaves them out.

import { html } from "../vendor/htm-preact.js";

const lines = {
  overview: "M2.5 8.5h3l1.8-5 2.6 9 1.8-4h1.8",
  endpoints: "M2.5 4h11M2.5 8h7M2.5 12h9",
  queries: "M3 4.2c0-1 2.2-1.7 5-1.7s5 .7 5 1.7-2.2 1.7-5 1.7-5-.7-5-1.7zM3 4.2v7.6c0 1 2.2 1.7 5 1.7s5-.7 5-1.7V4.2M3 8c0 1 2.2 1.7 5 1.7S13 9 13 8",
  services: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  alerts: "M4 11V7a4 4 0 0 1 8 0v4l1 1.3H3zM6.7 14.2h2.6",
  jobs: "M2.5 5.5h11v7.5h-11zM6 5.5V3.2h4v2.3M2.5 9h11",
  schedules: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM8 5v3.2l2.2 1.4",
  workers: "M4.5 4.5h7v7h-7zM6.5 2.2v2.3M9.5 2.2v2.3M6.5 11.5v2.3M9.5 11.5v2.3M2.2 6.5h2.3M2.2 9.5h2.3M11.5 6.5h2.3M11.5 9.5h2.3",
  reports: "M4 2.5h5.5L12 5v8.5H4zM6 8h4M6 10.5h4",
  settings: "M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M10 3.5v3M6 9.5v3",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  close: "M4 4l8 8M12 4l-8 8",
  theme: "M8 2.5a5.5 5.5 0 1 0 5.5 5.5A4.2 4.2 0 0 1 8 2.5z",
  book: "M3 3h4.2l.8.8.8-.8H13v9.5H9l-1 1-1-1H3zM8 4v9",
  keyboard: "M2 4.5h12v7H2zM4.5 7h.1M7 7h.1M9.5 7h.1M11.8 7h.1M5 9.5h6",
  out: "M9 3H3v10h6M7 8h7M11.5 5.5L14 8l-2.5 2.5",
  copy: "M5.5 5.5h7.5V13H5.5zM10.5 5.5V3H3v7.5h2.5",
  check: "M3 8.5l3.2 3.2L13 5",
  right: "M6 3.5L10.5 8 6 12.5",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
    <path d=${lines[name]} fill="none" stroke="currentColor" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round" />
  </svg>`;

// A state is told by its shape as well as by its colour.
const shapes = {
  good: "M5 0.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4z",
  warn: "M5 0.6L9.7 9.2H0.3z",
  mild: "M5 0.3L9.7 5 5 9.7 0.3 5z",
  bad: "M3.1 0.4h3.8l2.7 2.7v3.8l-2.7 2.7H3.1L0.4 6.9V3.1z",
};

export const Shape = ({ tone }) => html`
  <svg class="shape" viewBox="0 0 10 10" width="10" height="10" aria-hidden="true" focusable="false">
    ${shapes[tone]
      ? html`<path d=${shapes[tone]} fill="currentColor" />`
      : html`<circle cx="5" cy="5" r="3.6" fill="none" stroke="currentColor" stroke-width="1.6" />`}
  </svg>`;
