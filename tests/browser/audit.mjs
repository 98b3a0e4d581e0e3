// Every page, in light, in dark and on a phone: can everybody use it, and does nothing go wrong in the browser?

import { createRequire } from "node:module";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { equal, eventually, settled } from "./api.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const CONTRAST = "color-contrast";
const RULES = { runOnly: ["wcag2a", "wcag2aa", "wcag21aa"] };
const WIDE = { width: 1440, height: 900 };
/** How a page is looked at, and which rules can say something new of that: colours are those of the theme, all else is not. */
const LOOKS = {
  light: { options: { colorScheme: "light", viewport: WIDE }, rules: RULES },
  dark: { options: { colorScheme: "dark", viewport: WIDE }, rules: { runOnly: { type: "rule", values: [CONTRAST] } } },
  narrow: {
    options: { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true },
    rules: { ...RULES, rules: { [CONTRAST]: { enabled: false } } },
  },
};

export async function audit(world) {
  if (world.shots) await mkdir(world.shots, { recursive: true });
  const pages = { ...(await addresses(world)), "sign-in": null };
  await Promise.all(Object.entries(LOOKS).map(([look, how]) => lookAt(world, pages, look, how)));
}

async function lookAt(world, pages, look, { options, rules }) {
  const context = await world.signedIn(options);
  const stranger = await world.visitor(options);
  for (const [name, address] of Object.entries(pages)) {
    const page = await (address ? context : stranger).newPage();
    const wrong = listen(page);
    await world.check(`pages: ${name}, ${look}`, () => visit(page, { world, name, look, rules, address: address ?? "/sign-in", wrong }));
    await page.close();
  }
  await context.close();
  await stranger.close();
}

async function visit(page, { world, name, look, rules, address, wrong }) {
  await page.goto(world.base + address);
  await settled(page);
  const scrolls = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  if (world.shots) await page.screenshot({ path: join(world.shots, `${name}-${look}.png`), fullPage: look === "narrow" });
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((options) => window.axe.run(document, options), { ...rules, resultTypes: ["violations"], preload: false });
  const found = violations.map((one) => `${one.id} at ${one.nodes.slice(0, 2).map((node) => node.html.slice(0, 140)).join(" and ")}`);
  if (scrolls > 0) found.push(`the document scrolls to the side by ${scrolls} px`);
  found.push(...wrong);
  if (found.length > 0) throw new Error(found.join("; "));
}

/** What goes wrong in a page: errors of scripts, what the policy blocks, requests that fail. */
function listen(page) {
  const wrong = [];
  page.on("console", (message) => message.type() === "error" && wrong.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`script: ${error.message}`));
  page.on("response", (response) => response.status() >= 400 && wrong.push(`${response.status()} ${response.url()}`));
  // A request that a page gave up itself, because something newer is asked, is no failure.
  page.on("requestfailed", (request) => request.failure()?.errorText !== "net::ERR_ABORTED" && wrong.push(`${request.failure()?.errorText} ${request.url()}`));
  return wrong;
}

/** All pages by name, with something on each of them. */
async function addresses({ api, unique }) {
  const service = `audit-${unique}`;
  await api.requests(service, { count: 60, failed: 3 });
  await api.post("/v1/traces", trace(service));
  const alert = await api.alert(service, { description: "12.4 % of payments fail.", value: 12.4, threshold: 5, unit: "percent" });
  const silence = { match: { service }, comment: "deploy", ends_at: new Date(Date.now() + 600_000).toISOString() };
  await api.post("/api/v1/performance/silences", silence);
  const { id } = await api.post("/api/v1/jobs", { job: "generate_performance_report", args: { hours: 1 } });
  await eventually("a report", async () => (await api.get(`/api/v1/jobs/${id}`)).state === "succeeded");
  const query = await eventually("a slow query", async () => {
    const { items } = await api.get(`/api/v1/performance/metrics/slow-queries?hours=1&service=${service}`);
    return items[0];
  });
  equal(typeof query.fingerprint, "string", "fingerprint");
  return {
    overview: "/",
    endpoints: `/endpoints?service=${service}`,
    endpoint: `/endpoint?service=${service}&method=POST&endpoint=%2Fpay`,
    queries: `/queries?service=${service}`,
    query: `/query?fingerprint=${query.fingerprint}`,
    services: "/services",
    alerts: "/alerts",
    "alerts-resolved": "/alerts?status=resolved",
    alert: `/alert?id=${alert.id}`,
    jobs: "/jobs",
    "jobs-dead": "/jobs?state=dead",
    "jobs-all": "/jobs?state=all",
    job: `/job?id=${id}`,
    schedules: "/schedules",
    workers: "/workers",
    reports: "/reports",
    settings: "/settings",
  };
}

/** A request of 400 ms, with a query of 300 ms in it. */
function trace(service) {
  const end = BigInt(Date.now()) * 1_000_000n;
  const before = (ms) => String(end - BigInt(ms) * 1_000_000n);
  const hex = (length) => Array.from({ length }, () => Math.floor(Math.random() * 16).toString(16)).join("");
  const attributes = (values) => Object.entries(values).map(([key, value]) => ({ key, value: typeof value === "number" ? { intValue: String(value) } : { stringValue: value } }));
  const [traceId, parent] = [hex(32), hex(16)];
  const request = {
    traceId, spanId: parent, name: "GET /users/{id}", kind: 2, startTimeUnixNano: before(400), endTimeUnixNano: String(end),
    attributes: attributes({ "http.request.method": "GET", "http.route": "/users/{id}", "http.response.status_code": 200, "url.path": "/users/7" }),
  };
  const query = {
    traceId, spanId: hex(16), parentSpanId: parent, name: "SELECT users", kind: 3, startTimeUnixNano: before(350), endTimeUnixNano: before(50),
    attributes: attributes({ "db.system.name": "postgresql", "db.query.text": "SELECT * FROM users WHERE id = 7", "db.namespace": "shop" }),
  };
  return { resourceSpans: [{ resource: { attributes: attributes({ "service.name": service }) }, scopeSpans: [{ spans: [request, query] }] }] };
}
