// Puts the dashboard's scripts together into few and small files, since a browser fetches six at a time: `make dashboard`.
//
//   node bundle.mjs [FOLDER]
//
// Writes to `dist/`, or to FOLDER. `pages.json` there tells which files each page needs. All names but that of the entry have a hash of
// what is in the file, so that a browser may keep it for ever.

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(here, "dist");
const ENTRY = "app.js";

rmSync(folder, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: [ENTRY],
  outdir: folder,
  bundle: true,
  splitting: true,
  minify: true,
  metafile: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none", // the licences are beside the libraries, and served from there
});

const outputs = new Map(Object.entries(metafile.outputs).map(([path, output]) => [basename(path), output]));

/** Adds a file, and all that it imports before it runs. */
function need(file, needed) {
  if (needed.has(file)) return needed;
  needed.add(file);
  const atOnce = outputs.get(file).imports.filter((one) => one.kind === "import-statement");
  for (const one of atOnce) need(basename(one.path), needed);
  return needed;
}

function filesOf(page) {
  const [file] = [...outputs].find(([, output]) => output.entryPoint === `pages/${page}`);
  return [...need(file, need(ENTRY, new Set()))];
}

const pages = readdirSync(join(here, "pages")).sort();
const table = Object.fromEntries(pages.map((page) => [basename(page, ".js"), filesOf(page)]));
writeFileSync(join(folder, "pages.json"), `${JSON.stringify(table, null, 2)}\n`);
