import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { build, type Plugin } from "esbuild";

const SOURCES = "src/ui";
/** The files that index.html names. */
const ENTRIES = ["main.tsx", "style.css", "icon.svg"];

/**
 * Makes the files of the status page in a folder: index.html, and the files that it loads, each with a hash of its contents in
 * its name, so that browsers may keep them.
 */
export async function buildPage(folder: string, plugins: readonly Plugin[] = []): Promise<void> {
  const { metafile } = await build({
    entryPoints: ENTRIES.map((name) => join(SOURCES, name)),
    outdir: folder,
    entryNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    platform: "browser",
    // Two years old when this was written.
    target: ["chrome123", "firefox125", "safari17.5"],
    format: "esm",
    jsx: "automatic",
    jsxImportSource: "preact",
    loader: { ".svg": "copy" },
    legalComments: "none",
    logLevel: "warning",
    metafile: true,
    plugins: [...plugins],
  });
  let page = await readFile(join(SOURCES, "index.html"), "utf8");
  for (const [path, { entryPoint, inputs }] of Object.entries(metafile.outputs)) {
    const source = basename(entryPoint ?? Object.keys(inputs)[0] ?? "").replace(/\.tsx$/, ".js");
    page = page.replaceAll(`"ui/${source}"`, `"ui/${basename(path)}"`);
  }
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "index.html"), page);
}
