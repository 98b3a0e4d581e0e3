// The HTTP API, as another program uses it.

/** How long anything may take, in ms: machines that run tests are busy. */
export const LONG = 120_000;

export class Api {
  constructor(base, key) {
    this.base = base;
    this.key = key;
  }

  get = (path) => this.#call("GET", path);
  post = (path, body) => this.#call("POST", path, body);

  async #call(method, path, body) {
    const response = await fetch(`${this.base}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json" },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text && JSON.parse(text);
  }

  /** Tells of requests to a service, `failed` of them with status 500. */
  async requests(service, { count, failed = 0, endpoint = "/pay" }) {
    const request = (index) => ({
      service, endpoint, method: "POST", status_code: index < failed ? 500 : 200, response_time_ms: 20 + index % 50,
    });
    await this.post("/api/v1/performance/metrics", Array.from({ length: count }, (_, index) => request(index)));
  }

  /** Raises an alert, and returns it. */
  alert = (service, more) => this.post("/api/v1/performance/alerts", { alert_type: "payment_failures", service, severity: "high", ...more });
}

/** Waits until `look` returns something true, and returns that. */
export async function eventually(what, look) {
  const end = Date.now() + LONG;
  let last;
  for (;;) {
    last = await look().catch((error) => error);
    if (last && !(last instanceof Error)) return last;
    if (Date.now() > end) throw new Error(`${what}: not within ${LONG / 1000} s${last instanceof Error ? `, the last time: ${last.message}` : ""}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export function equal(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
}

/** A page has said what it has to say: no placeholder stands there any more. */
export async function settled(page) {
  try {
    await page.locator("main h1").waitFor();
    await page.waitForFunction(() => !document.querySelector("main .skeleton, main .is-old"));
  } catch (error) {
    const text = await page.locator("body").innerText({ timeout: 1_000 }).catch(() => "nothing");
    throw new Error(`${page.url()} does not settle (${error.message.split("\n")[0]}); it shows: ${text.replaceAll("\n", " ").slice(0, 400)}`);
  }
}
