// Calls of the API. Errors are problem documents (RFC 9457); without a session nobody sees anything, so a 401 is told to
// the whole page.

const BASE = "/api/v1";

/** An error of the API, in the words of its problem document. */
export class ApiError extends Error {
  constructor({ status, title, detail, errors = [], retryAfterMs = null }) {
    super(detail || title);
    this.name = "ApiError";
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.errors = errors;
    this.retryAfterMs = retryAfterMs;
  }

  /** The server did not answer, or cannot now: the same call may succeed later. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Answers that are on their way before somebody waits for them. */
const ahead = new Map();

/** The answers that the head of the page has the browser fetch, by path. */
export function preloaded() {
  for (const link of document.querySelectorAll('link[rel="preload"][as="fetch"]')) {
    const path = link.getAttribute("href").slice(BASE.length);
    const answer = request("GET", path);
    // Whoever waits for it by then has it; whoever comes later asks anew.
    answer.then(() => ahead.delete(path), () => ahead.delete(path));
    ahead.set(path, answer);
  }
  return ahead;
}

export const get = (path, options) => ahead.get(path) ?? request("GET", path, undefined, options);
export const post = (path, body = {}, options) => request("POST", path, body, options);
export const patch = (path, body, options) => request("PATCH", path, body, options);
export const del = (path, options) => request("DELETE", path, undefined, options);

/** `path` is below /api/v1, such as `/queues`. */
async function request(method, path, body, { signal } = {}) {
  // No header where none is needed: what the page has preloaded is the answer to a plain question only.
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  let response;
  try {
    response = await fetch(BASE + path, {
      method, headers, signal, credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ status: 0, title: "No answer", detail: "The server cannot be reached. Is Dogwatch running?" });
  }
  if (response.ok) return response.status === 204 ? null : answer(response);
  if (response.status === 401) window.dispatchEvent(new CustomEvent("unauthorized", { detail: { path } }));
  throw await problem(response);
}

async function answer(response) {
  const type = response.headers.get("content-type") ?? "";
  return type.includes("json") ? response.json() : response.text();
}

async function problem(response) {
  const document = await response.json().catch(() => ({}));
  const retryAfter = Number(response.headers.get("retry-after"));
  return new ApiError({
    status: response.status,
    title: document.title || `The server answered ${response.status}`,
    detail: document.detail || response.statusText,
    errors: document.errors,
    retryAfterMs: retryAfter > 0 ? retryAfter * 1_000 : null,
  });
}
