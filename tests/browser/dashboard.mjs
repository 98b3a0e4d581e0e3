// Looks at the dashboard of a running Dogwatch with a browser, as a person would.
//
//   node dashboard.mjs BASE_URL API_KEY CHROMIUM_PATH SHOTS_FOLDER [SCENARIO…]
//
// API_KEY has the scope admin. SHOTS_FOLDER takes a picture of each page; `-` takes none. Without a SCENARIO all of them run.
// `dead-job` and `discard` need the id of a dead job in the environment variable DEAD_JOB. Prints a line for each check; the exit code is 1
// when one fails.

import { chromium } from "playwright-core";
import { audit } from "./audit.mjs";
import { Api, LONG } from "./api.mjs";
import * as scenarios from "./scenarios.mjs";

const SCENARIOS = {
  "sign-in": scenarios.signIn,
  "first-view": scenarios.firstView,
  "live-errors": scenarios.liveErrors,
  alert: scenarios.alert,
  "dead-job": scenarios.deadJob,
  queue: scenarios.queue,
  schedule: scenarios.schedule,
  link: scenarios.link,
  pages: audit,
  weight: scenarios.weight,
  discard: scenarios.discard,
  "sign-out": scenarios.signOut,
};

const [base, key, executablePath, shots, ...asked] = process.argv.slice(2);
const names = asked.length > 0 ? asked : Object.keys(SCENARIOS);
const unknown = names.filter((name) => !(name in SCENARIOS));
if (!shots || unknown.length > 0) {
  console.error(`usage: node dashboard.mjs BASE_URL API_KEY CHROMIUM_PATH SHOTS_FOLDER [SCENARIO…]; scenarios: ${Object.keys(SCENARIOS).join(", ")}`);
  process.exit(2);
}

let failures = 0;

/** Runs one check and prints how it went; whether it went well. What it returns is printed beside its name. */
async function check(name, run) {
  const begun = Date.now();
  try {
    const note = await run();
    console.log(`ok ${name}${typeof note === "string" ? `: ${note}` : ""} (${Date.now() - begun} ms)`);
    return true;
  } catch (error) {
    failures += 1;
    console.log(`FAILED ${name}: ${error.message.split("\n").slice(0, 6).join(" | ")}`);
    return false;
  }
}

const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});

const world = {
  base, key, browser, check,
  shots: shots === "-" ? null : shots,
  api: new Api(base, key),
  /** What belongs to this run alone. */
  unique: Date.now().toString(36),

  /** A new person at a new browser. */
  async visitor(options = {}) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
    context.setDefaultTimeout(LONG);
    return context;
  },

  /** One who has signed in. */
  async signedIn(options) {
    const context = await this.visitor(options);
    const answer = await context.request.post(`${base}/api/v1/session`, { data: { key } });
    if (!answer.ok()) throw new Error(`cannot sign in: ${answer.status()} ${await answer.text()}`);
    return context;
  },
};

for (const name of names) {
  await check(name, () => SCENARIOS[name](world));
}
await browser.close();
process.exit(failures > 0 ? 1 : 0);
