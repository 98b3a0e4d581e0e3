// What people do with the dashboard, and what they have to see then.

import { equal, eventually, settled } from "./api.mjs";

const path = (page) => new URL(page.url()).pathname + new URL(page.url()).search;

export async function signIn({ base, key, check, visitor }) {
  const context = await visitor();
  const page = await context.newPage();
  await check("sign-in: without a session a page leads to sign-in", async () => {
    await page.goto(base);
    await page.waitForURL("**/sign-in?*");
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
  });
  await check("sign-in: a wrong key is told", async () => {
    await page.getByLabel("API key").fill(`dw_${"0".repeat(32)}_${"0".repeat(64)}`);
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: "key" }).waitFor();
  });
  await check("sign-in: the right key leads to where one wanted to go", async () => {
    await page.goto(`${base}/jobs?state=dead`);
    await page.waitForURL("**/sign-in?*");
    await page.getByLabel("API key").fill(key);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { name: "Jobs", exact: true }).waitFor();
    equal(path(page), "/jobs?state=dead", "address");
  });
  await check("sign-in: scripts cannot read the cookie and other sites cannot send it", async () => {
    const cookies = await context.cookies();
    equal(cookies.length, 1, "cookies");
    equal(cookies[0].httpOnly, true, "HttpOnly");
    equal(cookies[0].sameSite, "Strict", "SameSite");
    equal(await page.evaluate(() => document.cookie), "", "document.cookie");
  });
  await context.close();
}

export async function firstView(world) {
  const { base, check } = world;
  const context = await world.signedIn();
  const page = await context.newPage();
  const asked = [];
  page.on("request", (request) => request.url().includes("/api/v1/") && asked.push(request.url()));
  await check("first-view: what the page has preloaded is not asked for again", async () => {
    for (const address of ["/", "/?by=slowest&hours=6&service=a+b", "/?since=2026-11-20T00%3A00%3A00.000Z&by=failing"]) {
      asked.length = 0;
      await page.goto(base + address);
      await settled(page);
      const first = (path) => asked.filter((url) => url.includes(path)).length;
      for (const path of ["/session", "/performance/dashboard", "/performance/alerts"]) {
        equal(first(path), 1, `${address}: questions for ${path}`);
      }
    }
  });
  await context.close();
}

export async function liveErrors(world) {
  const { api, base, check, unique } = world;
  const service = `errors-${unique}`;
  const context = await world.signedIn();
  const [overview, endpoints] = [await context.newPage(), await context.newPage()];
  await overview.goto(`${base}/?service=${service}`);
  await endpoints.goto(`${base}/endpoints?service=${service}`);
  for (const page of [overview, endpoints]) {
    await settled(page);
    await page.getByText("No requests in the last hour").first().waitFor();
    await page.evaluate(() => { window.isSameDocument = true; });
  }
  await api.requests(service, { count: 100, failed: 40 });
  const isSame = async (page) => equal(await page.evaluate(() => window.isSameDocument), true, "no reload");
  // A hidden page asks nothing, so each is brought to the front before it is looked at.
  await check("live-errors: the overview shows an error rate without a reload", async () => {
    await overview.bringToFront();
    await overview.locator(".figure", { hasText: "Errors" }).getByText("40.0%").waitFor();
    await isSame(overview);
  });
  await check("live-errors: so does the list of endpoints", async () => {
    await endpoints.bringToFront();
    await endpoints.getByRole("row").filter({ hasText: "/pay" }).getByText("40.0%").first().waitFor();
    await isSame(endpoints);
  });
  await context.close();
}

export async function alert(world) {
  const { api, base, check, unique } = world;
  const service = `alerts-${unique}`;
  const note = `The provider is down, ticket ${unique}`;
  const context = await world.signedIn();
  const page = await context.newPage();
  await page.goto(`${base}/alerts?service=${service}`);
  await settled(page);
  const raised = await api.alert(service, { title: `Payments of ${service} fail`, value: 12.4, threshold: 5, unit: "percent" });
  const row = page.getByRole("row").filter({ hasText: raised.title });
  const stored = () => api.get(`/api/v1/performance/alerts/${raised.id}`);
  const dialog = page.getByRole("dialog");

  const isThere = await check("alert: it appears without a reload", () => row.waitFor());
  if (!isThere) return;
  await check("alert: it is acknowledged with a note, by the keyboard alone", async () => {
    await page.keyboard.press("j");
    await page.keyboard.press("a");
    await dialog.waitFor();
    await page.keyboard.type(note);
    // To the name, to “Cancel”, to “Acknowledge”.
    for (let step = 0; step < 3; step += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await row.getByText("Acknowledged").waitFor();
    const now = await stored();
    equal(now.status, "acknowledged", "status");
    equal(now.note, note, "note");
  });
  await check("alert: it is resolved by the keyboard alone", async () => {
    // The dialog has given the focus back to the alert.
    await page.keyboard.press("r");
    await dialog.waitFor();
    for (let step = 0; step < 3; step += 1) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "detached" });
    await row.waitFor({ state: "detached" });
    equal((await stored()).status, "resolved", "status");
  });
  await check("alert: its page tells its history", async () => {
    await page.goto(`${base}/alert?id=${raised.id}`);
    await settled(page);
    for (const event of ["Raised", "Acknowledged", "Resolved"]) await page.locator(".timeline").getByText(event).waitFor();
    await page.locator(".timeline").getByText(note).waitFor();
  });
  await context.close();
}

export async function deadJob(world) {
  const { api, base, check } = world;
  const id = process.env.DEAD_JOB;
  if (!id) throw new Error("the environment variable DEAD_JOB names no job");
  const before = await api.get(`/api/v1/jobs/${id}`);
  equal(before.state, "dead", "state of DEAD_JOB");
  const context = await world.signedIn();
  const page = await context.newPage();
  await check("dead-job: it is replayed", async () => {
    await page.goto(`${base}/jobs?state=dead&limit=1000`);
    await settled(page);
    const row = page.getByRole("row").filter({ has: page.locator(`a[href*="id=${id}"]`) });
    await row.getByRole("button", { name: "Replay" }).click();
    // It may have died anew meanwhile, but not of the death that it had.
    await eventually("the job has left its death", async () => {
      const job = await api.get(`/api/v1/jobs/${id}`);
      return job.state !== "dead" || job.finished_at !== before.finished_at;
    });
  });
  await context.close();
}

/** Last of all: the pages before want a dead job to show. */
export async function discard(world) {
  const { api, base, check } = world;
  const id = process.env.DEAD_JOB;
  const context = await world.signedIn();
  const page = await context.newPage();
  await check("discard: a dead job is forgotten", async () => {
    await eventually("it has died again", async () => (await api.get(`/api/v1/jobs/${id}`)).state === "dead");
    await page.goto(`${base}/job?id=${id}`);
    await settled(page);
    await page.getByRole("button", { name: "Discard" }).click();
    await page.getByRole("button", { name: "Discard the job" }).click();
    await page.waitForURL((url) => url.pathname === "/jobs");
    const { items } = await api.get("/api/v1/jobs?state=dead");
    equal(items.filter((job) => job.id === id).length, 0, "dead jobs of this id");
  });
  await context.close();
}

export async function queue(world) {
  const { api, base, check, unique } = world;
  const name = `purged-${unique}`;
  const { id } = await api.post("/api/v1/jobs", { job: "check_service_health", queue: name, delay: "1h" });
  const context = await world.signedIn();
  const page = await context.newPage();
  await check("queue: what waits in it is cancelled", async () => {
    await page.goto(`${base}/jobs`);
    await settled(page);
    await page.getByRole("button", { name: `Purge ${name}` }).click();
    await page.getByRole("button", { name: "Cancel what waits" }).click();
    await eventually("the job is cancelled", async () => (await api.get(`/api/v1/jobs/${id}`)).state === "cancelled");
  });
  await context.close();
}

export async function schedule(world) {
  const { api, base, check } = world;
  const context = await world.signedIn();
  const page = await context.newPage();
  await check("schedule: it is run now, and its job is shown", async () => {
    const { items } = await api.get("/api/v1/schedules");
    const chosen = items.find((item) => item.name.includes("cleanup")) ?? items[0];
    await page.goto(`${base}/schedules`);
    await settled(page);
    await page.getByRole("button", { name: `Run ${chosen.name} now` }).click();
    const made = page.getByRole("row").filter({ hasText: chosen.name }).getByRole("link", { name: /^Job / }).first();
    await made.click();
    await page.getByRole("heading", { level: 1, name: chosen.job }).waitFor();
    const id = new URL(page.url()).searchParams.get("id");
    equal((await api.get(`/api/v1/jobs/${id}`)).job, chosen.job, "job");
    await page.locator(".state-line").getByText("Succeeded").waitFor();
  });
  await context.close();
}

export async function link(world) {
  const { api, base, check, unique } = world;
  const [service, other] = [`link-${unique}`, `other-${unique}`];
  await api.requests(service, { count: 20, endpoint: "/basket" });
  await api.requests(other, { count: 20, endpoint: "/elsewhere" });
  const context = await world.signedIn();
  for (const which of ["a page", "another page of the same session"]) {
    await check(`link: ${which} shows the filtered list and its filters`, async () => {
      const page = await context.newPage();
      await page.goto(`${base}/endpoints?hours=6&service=${service}`);
      await settled(page);
      await page.getByRole("row").filter({ hasText: "/basket" }).first().waitFor();
      equal(await page.getByText("/elsewhere").count(), 0, "rows of another service");
      equal(await page.getByLabel("Service", { exact: true }).inputValue(), service, "the filter of the service");
      equal(await page.getByRole("link", { name: "6 h" }).getAttribute("aria-current"), "true", "the filter of the time");
      const menu = await page.getByRole("link", { name: "Queries" }).getAttribute("href");
      equal(menu, `/queries?hours=6&service=${service}`, "the filters travel with the menu");
    });
  }
  await context.close();
}

/** The first view is small enough for a phone far from a mast. */
const MOST_BYTES = 200_000;

export async function weight(world) {
  const { base, check } = world;
  const context = await world.signedIn();
  const page = await context.newPage();
  const sizes = [];
  page.on("response", (response) => sizes.push(response.body().then((body) => [new URL(response.url()).pathname, body.length])));
  await page.goto(base);
  await settled(page);
  await page.waitForLoadState("networkidle");
  await check("weight: all scripts are asked for at once", async () => {
    const loaded = (await Promise.all(sizes)).map(([name]) => name).filter((name) => name.endsWith(".js"));
    const preloaded = await page.$$eval("link[rel=modulepreload]", (links) => links.map((link) => new URL(link.href).pathname));
    const unused = preloaded.filter((name) => !loaded.includes(name));
    equal(unused.join(", "), "", "preloaded and not used");
    const late = loaded.filter((name) => !preloaded.includes(name));
    equal(late.sort().join(", "), "/assets/theme.js", "not preloaded");
  });
  await check(`weight: the first view is less than ${MOST_BYTES} bytes`, async () => {
    const all = await Promise.all(sizes);
    const total = all.reduce((sum, [, size]) => sum + size, 0);
    const largest = all.sort((a, b) => b[1] - a[1]).slice(0, 3).map(([name, size]) => `${name} ${size}`).join(", ");
    if (total >= MOST_BYTES) throw new Error(`${total} bytes in ${all.length} answers; the largest: ${largest}`);
    return `${total} in ${all.length} answers`;
  });
  await context.close();
}

export async function signOut(world) {
  const { base, check } = world;
  const context = await world.signedIn();
  const page = await context.newPage();
  const [cookie] = await context.cookies();
  await check("sign-out: it ends the session", async () => {
    await page.goto(base);
    await settled(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.waitForURL("**/sign-in");
    equal((await context.cookies()).length, 0, "cookies");
    const answer = await fetch(`${base}/api/v1/session`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
    equal(answer.status, 401, "what the old cookie opens");
    await page.goto(`${base}/jobs`);
    await page.waitForURL("**/sign-in?*");
  });
  await context.close();
}
