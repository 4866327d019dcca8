import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../src");

/** What each folder may import: folders and files below src, and packages. The first row that fits a file is its row. */
const ALLOWED: readonly (readonly [RegExp, readonly string[]])[] = [
  [
    /^(main|agent|agent-parts|commands|cluster-source|node-absence|node-addresses|node-preparation|node-rules|node-setup|problem-reporter|signals|standard-output|system-clock|heap)\.ts$/,
    ["*"],
  ],
  [/^log\.ts$/, ["pino", "model/value-text.ts"]],
  [/^model\//, ["model/", "ipaddr.js"]],
  [/^services\//, ["model/", "services/"]],
  [/^desired\//, ["model/", "services/", "desired/", "kernel/kernel.ts"]],
  [/^reconcile\//, ["model/", "desired/", "reconcile/", "kernel/kernel.ts", "log.ts"]],
  [/^kernel\/netlink\/(attributes|message)\.ts$/, ["kernel/netlink/", "model/"]],
  [/^kernel\/(\w+)\/codec\.ts$/, ["kernel/netlink/attributes.ts", "kernel/netlink/message.ts", "model/", "./"]],
  [/^kernel\//, ["model/", "kernel/", "log.ts", "netlink", "netlink/dist/raw.js", "node:"]],
  [/^watch\//, ["model/", "services/", "watch/", "log.ts", "@kubernetes/client-node/", "yaml", "node:"]],
  [
    /^serve\//,
    [
      "model/",
      "serve/",
      "reconcile/",
      "kernel/kernel.ts",
      "log.ts",
      "flag-values.ts",
      "prom-client",
      "fastify",
      "node:",
    ],
  ],
  [
    /^(cli|config|settings|flag-values)\.ts$/,
    ["model/", "cli.ts", "config.ts", "settings.ts", "flag-values.ts", "log.ts", "node:util"],
  ],
];

const files = globSync("**/*.ts", { cwd: ROOT }).sort();
const textOf = (file: string) => readFileSync(join(ROOT, file), "utf8");

/** Targets of all imports: "model/address.ts" for one of ours, else the package's name. */
function importsOf(file: string): readonly string[] {
  const targets = [...textOf(file).matchAll(/(?:^|\s)(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(
    (match) => match[1] ?? "",
  );
  return targets.map((target) => (target.startsWith(".") ? relative(ROOT, join(ROOT, dirname(file), target)) : target));
}

function isAllowed(file: string, target: string): boolean {
  const [, allowed = []] = ALLOWED.find(([pattern]) => pattern.test(file)) ?? [];
  return allowed.some((prefix) => {
    if (prefix === "*") return true;
    if (prefix === "./") return dirname(target) === dirname(file);
    return prefix.endsWith("/") || prefix.endsWith(":") ? target.startsWith(prefix) : target === prefix;
  });
}

describe.each(files)("src/%s", (file) => {
  test("imports only what its folder may", () => {
    expect(importsOf(file).filter((target) => !isAllowed(file, target))).toEqual([]);
  });

  test("is not longer than 400 lines", () => {
    expect(textOf(file).split("\n").length - 1).toBeLessThanOrEqual(400);
  });
});

test("pure folders know no time and no chance", () => {
  const pure = files.filter((file) => /^(model|services|desired|reconcile)\/|codec\.ts$/.test(file));
  const impure = pure.filter((file) =>
    /\b(Date\.now|new Date\(\)|Math\.random|performance\.|setTimeout)/.test(textOf(file)),
  );
  expect(impure).toEqual([]);
});

/** Where a time may be read or made, and a timer set, that is not the `Clock` that was passed in. */
const TIME_KEEPERS: Readonly<Record<string, RegExp>> = {
  // The clock itself.
  "system-clock.ts": /setTimeout as timer|performance\.now\(\)|new Date\(\)/g,
  // Between the two times, and to text.
  "model/clock.ts": /new Date\(|clock\.date\(\)/g,
  "serve/health.ts": /new Date\(|clock\.date\(\)/g,
  // For people: the offset of the time zone, and times of Events.
  "agent.ts": /clock\.date\(\)\.getTimezoneOffset\(\)/g,
  "watch/events/event-writer.ts": /clock\.date\(\)/g,
  // Times of the API.
  "services/decode-slice.ts": /Date\.parse\(/g,
  "watch/credentials/exec-plugin.ts": /clock\.date\(\)/g,
  "watch/credentials/exec-credential.ts": /Date\.parse\(/g,
  // Two times of one answer.
  "watch/connection.ts": /Date\.parse\(/g,
  // Durations of this process alone.
  "kernel/conntrack/client.ts": /performance\.now\(\)/g,
  // Timers of a fixed length.
  "kernel/netlink/socket.ts": /setTimeout\(/g,
  "kernel/ipset/client.ts": /setTimeout as sleep/g,
  "watch/folder-watch.ts": /setTimeout\(/g,
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
