import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../src");
const UNIT = import.meta.dirname;

interface Layer {
  /** A folder of src/, or a file of its root without ".ts". */
  readonly name: string;
  /** Other layers, all of them further down. */
  readonly layers: readonly string[];
  /** Packages; "node:" and "@kubernetes/client-node/" mean all that begins so. */
  readonly packages: readonly string[];
}

/** Imports run down this list. src/README.md says the same. */
const LAYERS: readonly Layer[] = [
  { name: "main", layers: ["commands", "config", "process"], packages: ["node:"] },
  {
    name: "commands",
    layers: [
      "agent",
      "agent-view",
      "agent-status",
      "agent-dependencies",
      "config",
      "serve",
      "events",
      "explain",
      "sync",
      "desired",
      "node",
      "sources",
      "services",
      "kernel",
      "process",
      "model",
    ],
    packages: ["prom-client", "yaml", "node:"],
  },
  { name: "ui", layers: ["explain", "sync", "model"], packages: ["preact", "preact/hooks"] },
  {
    name: "agent",
    layers: [
      "agent-view",
      "agent-status",
      "agent-dependencies",
      "config",
      "serve",
      "events",
      "explain",
      "sync",
      "desired",
      "node",
      "services",
      "kernel",
      "process",
      "model",
    ],
    packages: [],
  },
  {
    name: "agent-view",
    layers: ["agent-status", "config", "explain", "sync", "desired", "node", "model"],
    packages: [],
  },
  {
    name: "agent-status",
    layers: [
      "agent-dependencies",
      "config",
      "serve",
      "events",
      "explain",
      "sync",
      "desired",
      "node",
      "services",
      "process",
      "model",
    ],
    packages: [],
  },
  { name: "agent-dependencies", layers: ["serve", "node", "kernel", "model"], packages: [] },
  { name: "config", layers: ["process", "model"], packages: ["node:util", "yaml", "valibot", "leven"] },
  { name: "serve", layers: ["sync", "kernel", "model"], packages: ["prom-client", "fastify", "node:"] },
  { name: "events", layers: ["sync", "desired", "sources", "model"], packages: ["node:"] },
  { name: "explain", layers: ["sync", "desired", "node", "services", "kernel", "model"], packages: [] },
  { name: "sync", layers: ["desired", "kernel", "model"], packages: [] },
  { name: "desired", layers: ["node", "services", "model"], packages: [] },
  { name: "node", layers: ["services", "kernel", "model"], packages: [] },
  { name: "sources", layers: ["services", "model"], packages: ["@kubernetes/client-node/", "yaml", "node:"] },
  { name: "services", layers: ["model"], packages: [] },
  { name: "kernel", layers: ["model"], packages: ["netlink", "netlink/dist/raw.js", "node:"] },
  { name: "process", layers: ["model"], packages: ["pino", "node:"] },
  { name: "model", layers: [], packages: ["ipaddr.js"] },
];

/** Files that decide and do nothing: they read no time, make no chance, and import no I/O. */
const PURE = /^(model|services|desired|sync|explain|node\/rules|commands\/dry-run)\/|codec\.ts$/;

/** Codecs and tables, which are long because their subject is, and the tests of codecs. */
const LONG_BY_NATURE = /(codec|attributes|settings)\.ts$|codec\.test\.ts$/;
const MOST_LINES = 300;
const MOST_LINES_BY_NATURE = 400;
const MOST_FILES = 15;

const files = globSync("**/*.{ts,tsx}", { cwd: ROOT }).sort();
const textOf = (file: string) => readFileSync(join(ROOT, file), "utf8");

/** The code beside src/; recordings and fixtures are none. */
const otherCode = globSync("{test,bench,packaging}/**/*.{ts,sh,pl}", { cwd: join(ROOT, "..") })
  .filter((file) => !/\/(fixtures|node_modules)\//.test(file))
  .sort();

/** Whether a file has more lines than one may have. */
function isTooLong(path: string): boolean {
  const lines = readFileSync(join(ROOT, path), "utf8").split("\n").length - 1;
  return lines > (LONG_BY_NATURE.test(path) ? MOST_LINES_BY_NATURE : MOST_LINES);
}

/** The layer of a file or of what it imports: the folder below src/, or the name of a file at its root. */
function layerOf(path: string): string {
  return path.split("/")[0]?.replace(/\.ts$/, "") ?? "";
}

/** Targets of all imports: "model/address.ts" for one of ours, else the package's name. */
function importsOf(file: string): readonly string[] {
  const targets = [...textOf(file).matchAll(/(?:^|\s)(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(
    (match) => match[1] ?? "",
  );
  return targets.map((target) => (target.startsWith(".") ? relative(ROOT, join(ROOT, dirname(file), target)) : target));
}

function isAllowed(file: string, target: string): boolean {
  const layer = LAYERS.find(({ name }) => name === layerOf(file));
  if (layer === undefined) return false;
  if (/\.tsx?$/.test(target)) return [layer.name, ...layer.layers].includes(layerOf(target));
  return layer.packages.some((name) => target === name || (/[:/]$/.test(name) && target.startsWith(name)));
}

test("the import table runs down: no layer may import one above it", () => {
  const names = LAYERS.map(({ name }) => name);
  const up = LAYERS.flatMap(({ name, layers }, index) =>
    layers.filter((other) => names.indexOf(other) <= index).map((other) => `${name} -> ${other}`),
  );
  expect(up).toEqual([]);
});

test("src/README.md has a row for each folder", () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const rows = [...readme.matchAll(/^\| `([\w-]+)(?:\/|\.ts)`/gm)].map((match) => match[1]);
  expect(rows).toEqual(LAYERS.map(({ name }) => name).filter((name) => !name.startsWith("agent-")));
});

describe.each(files)("src/%s", (file) => {
  test("imports only what its folder may", () => {
    expect(importsOf(file).filter((target) => !isAllowed(file, target))).toEqual([]);
  });

  test("is not too long", () => {
    expect(isTooLong(file)).toBe(false);
  });
});

test("agent.ts joins the parts and does nothing else, so it is short", () => {
  expect(textOf("agent.ts").split("\n").length).toBeLessThanOrEqual(250);
});

test("a codec imports the words, its constants and the form of messages, nothing that does I/O", () => {
  const allowed = /^(model\/.*|kernel\/netlink\/(attributes|message)\.ts|kernel\/(\w+)\/(constants|codec)\.ts)$/;
  const codecs = files.filter((file) => /^kernel\/.*codec\.ts$/.test(file));
  expect(codecs.flatMap((file) => importsOf(file).filter((target) => !allowed.test(target)))).toEqual([]);
});

test("no file of test/, bench/ and packaging/ is too long", () => {
  expect(otherCode.filter((file) => file.endsWith(".ts") && isTooLong(`../${file}`))).toEqual([]);
});

test("no folder has more than 15 files", () => {
  const counts = Map.groupBy([...files.map((file) => `src/${file}`), ...otherCode], dirname);
  expect([...counts].filter(([, group]) => group.length > MOST_FILES).map(([folder]) => folder)).toEqual([]);
});

test("test/unit has the folders of src", () => {
  const folders = new Set(files.map(dirname));
  const tested = new Set(globSync("**/*.ts", { cwd: UNIT }).map(dirname));
  expect([...tested].filter((folder) => !folders.has(folder))).toEqual([]);
});

test("a test that has the name of a source stands in its folder", () => {
  const byName = Map.groupBy(files, (file) => file.split("/").at(-1) ?? "");
  const misplaced = globSync("**/*.test.ts", { cwd: UNIT }).filter((path) => {
    const sources = byName.get((path.split("/").at(-1) ?? "").replace(".test.ts", ".ts")) ?? [];
    return sources.length > 0 && !sources.some((source) => dirname(source) === dirname(path));
  });
  expect(misplaced).toEqual([]);
});

test("test/README.md says where each file without a test of its name is tested, and of no other", () => {
  const readme = readFileSync(join(ROOT, "../test/README.md"), "utf8");
  const [, section = ""] = /^## Where a file is tested$(.*?)^## /ms.exec(readme) ?? [];
  const rows = [...section.matchAll(/^\| (?:`([\w/*-]+)\/`|root) +\| ((?:`[\w-]+`(?:, )?)+) +\|/gm)];
  const listed = rows.flatMap(([, folder = "", names = ""]) =>
    [...names.matchAll(/`([\w-]+)`/g)].flatMap(([, name]) => globSync(join(folder, `${name}.{ts,tsx}`), { cwd: ROOT })),
  );
  const own = new Set(globSync("**/*.test.ts", { cwd: UNIT }).map((path) => path.replace(".test.ts", ".ts")));
  expect(listed.toSorted()).toEqual(files.filter((file) => !own.has(file)));
});

test("pure folders know no time and no chance", () => {
  const impure = files
    .filter((file) => PURE.test(file))
    .filter((file) => /\b(Date\.now|new Date\(\)|Math\.random|performance\.|setTimeout)/.test(textOf(file)));
  expect(impure).toEqual([]);
});

/** Where a time may be read or made, and a timer set, that is not the `Clock` that was passed in. */
const TIME_KEEPERS: Readonly<Record<string, RegExp>> = {
  // The clock itself.
  "process/system-clock.ts": /setTimeout as timer|performance\.now\(\)|new Date\(\)/g,
  // Between the two times, and to text.
  "model/time/clock.ts": /new Date\(|clock\.date\(\)/g,
  "serve/health.ts": /new Date\(|clock\.date\(\)/g,
  // For people: the offset of the time zone, and times of Events.
  "agent.ts": /clock\.date\(\)\.getTimezoneOffset\(\)/g,
  "events/event-recorder.ts": /clock\.date\(\)/g,
  // Times of the API.
  "sources/decode/decode-slice.ts": /Date\.parse\(/g,
  "sources/api/access/exec-plugin.ts": /clock\.date\(\)/g,
  "sources/api/access/exec-credential.ts": /Date\.parse\(/g,
  // Times of the answer and of the certificate of a server, against the clock of this node.
  "commands/diagnosis/api-server-check.ts": /Date\.parse\(|clock\.date\(\)/g,
  // Two times of one answer.
  "sources/api/transport/connection.ts": /Date\.parse\(/g,
  // Durations of this process alone.
  "kernel/conntrack/client.ts": /performance\.now\(\)/g,
  // In the browser.
  "ui/format.ts": /new Date\(/g,
  "ui/page.tsx": /Date\.now\(\)|setInterval\(/g,
  "ui/use-live.ts": /Date\.now\(\)|setTimeout\(/g,
  // Timers of a fixed length.
  "kernel/netlink/connection.ts": /setTimeout\(/g,
  "kernel/ipset/client.ts": /setTimeout as sleep/g,
  "sources/manifests/folder-watch.ts": /setTimeout\(/g,
};

const TIME =
  /\bDate\.\w+\(|\bnew Date\b|\bperformance\.\w+|\bhrtime\b|(?<![.#])\bset(?:Timeout|Interval)\b|\bAbortSignal\.timeout\b/;

test("time comes from the clock that is passed in: nothing else reads the wall clock or sets timers", () => {
  const others = files.filter((file) => {
    const text = textOf(file).replaceAll(TIME_KEEPERS[file] ?? /(?!)/g, "");
    return TIME.test(text);
  });
  expect(others).toEqual([]);
});
