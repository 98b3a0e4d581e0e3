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

/** Answers that were asked for before somebody waited for them. */
const ahead = new Map();

/** Asks for what will soon be asked for: the next `get` of this path has this answer. */
export function askAhead(path) {
  const answer = request("GET", path);
  ahead.set(path, answer);
  // Whoever waits for it by now is told; whoever comes later asks anew, and may be signed in by then.
  answer.catch(() => ahead.delete(path));
  return answer;
}

export function get(path, options) {
  const answer = ahead.get(path);
  ahead.delete(path);
  return answer ?? request("GET", path, undefined, options);
}

export const post = (path, body = {}, options) => request("POST", path, body, options);
export const patch = (path, body, options) => request("PATCH", path, body, options);
export const del = (path, options) => request("DELETE", path, undefined, options);

/** `path` is below /api/v1, such as `/queues`. */
async function request(method, path, body, { signal } = {}) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
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
