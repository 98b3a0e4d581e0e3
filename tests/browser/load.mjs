// How long a page takes until it shows what it has to say, with a cold cache, beside a bare page in the same browser.
//
//   node load.mjs BASE_URL CHROMIUM_PATH PATH…
//
// AUTHORIZATION is what is shown to the API. `HOLD_S=600 cargo run --release -- dashboard` in benches/data runs one with ten million requests.

import { chromium } from "playwright-core";

const LOADS = 9;
/** Nothing is asked of the page for so long, in ms: whoever looks at it slows it down. */
const REST = 2_500;
const BARE = "data:text/html,<!doctype html><html lang=en><title>Bare</title><main><h1>Bare</h1><p>12.5 ms</p></main>";

const [base, executablePath, ...paths] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"] });

/** In the page: notes when it has settled. */
function watch() {
  const look = () => {
    const isSettled = document.querySelector("main h1") && !document.querySelector("main .skeleton, main .is-old");
    window.settledAt = isSettled ? window.settledAt ?? performance.now() : undefined;
  };
  new MutationObserver(look).observe(document, { childList: true, subtree: true });
}

/** In the page: what it took. */
function taken() {
  const answers = performance.getEntriesByType("resource");
  const sum = (name) => answers.reduce((total, answer) => total + answer[name], 0);
  const firstText = performance.getEntriesByName("first-contentful-paint")[0]?.startTime;
  return { settled: window.settledAt, firstText, answers: answers.length, kB: sum("decodedBodySize") / 1_000, "kB on the wire": sum("transferSize") / 1_000 };
}

async function load(address) {
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    extraHTTPHeaders: process.env.AUTHORIZATION ? { authorization: process.env.AUTHORIZATION } : {},
  });
  const page = await context.newPage();
  await page.addInitScript(watch);
  await page.goto(address, { waitUntil: "commit" });
  await new Promise((resolve) => setTimeout(resolve, REST));
  const result = await page.evaluate(taken);
  await context.close();
  return result;
}

for (const [name, address] of [["a bare page", BARE], ...paths.map((path) => [path, base + path])]) {
  const loads = [];
  for (let number = 0; number < LOADS; number += 1) loads.push(await load(address));
  const middle = (figure) => loads.map((one) => one[figure]).sort((a, b) => a - b)[Math.floor(LOADS / 2)];
  console.log(name, ...Object.keys(loads[0]).map((figure) => `${figure}: ${middle(figure)?.toFixed(0)}`));
}
await browser.close();
