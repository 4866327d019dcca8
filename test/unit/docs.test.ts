import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { TABLES, withTables } from "../../docs/generate.ts";
import { metricNames } from "../../docs/tables.ts";
import { FLAG_NAMES } from "../../src/config/arguments.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGES = ["README.md", "SECURITY.md", ...globSync("docs/*.md", { cwd: ROOT }).sort()];
const textOf = (file: string) => readFileSync(join(ROOT, file), "utf8");

test.each(Object.entries(TABLES))("the tables of docs/%s are those of the code: npm run docs", (name, tables) => {
  const text = textOf(`docs/${name}`);
  expect(text).toBe(withTables(text, tables));
});

test("every metric in src/serve has a row", () => {
  const texts = globSync("src/serve/**/*.ts", { cwd: ROOT }).map(textOf);
  const named = texts.flatMap((text) =>
    [...text.matchAll(/\b(?:kube_ipvs|kubeproxy|rest_client)_\w+/g)].map(([name]) => name),
  );
  const ours = metricNames().filter((name) => !/^(kubernetes|go)_/.test(name));
  expect([...new Set(named)].toSorted()).toEqual(ours.toSorted());
});

test("the table of Events has a row for each reason that the agent gives", () => {
  const given = [...textOf("src/events/event-records.ts").matchAll(/^ {4}reason: (.*),$/gm)].flatMap(([, value = ""]) =>
    [...value.matchAll(/"([A-Z]\w+)"/g)].map(([, reason = ""]) => reason),
  );
  const rows = [...textOf("docs/metrics-and-events.md").matchAll(/^\| `([A-Z]\w+)` +\| (?:Normal|Warning) /gm)];
  expect(given.length).toBeGreaterThan(5);
  expect(rows.map(([, reason]) => reason).toSorted()).toEqual(given.toSorted());
});

test("the page on troubleshooting has the texts of readiness", () => {
  const listed = [...textOf("docs/troubleshooting.md").matchAll(/^\| `([^`]+)`/gm)].map(([, reason = ""]) => reason);
  const [, begin] = textOf("src/serve/health.ts").split('case "readyz"');
  const texts = [...(begin ?? "").matchAll(/["`]([a-z]+ (?:[a-z]+ )+[a-z]+)/g)].map(([, text = ""]) => text);
  const reasons = texts.filter((text) => !text.startsWith("see "));
  expect(reasons.length).toBeGreaterThan(3);
  expect(reasons.filter((text) => !listed.some((reason) => reason.startsWith(text)))).toEqual([]);
});

/** Flags of other programs that the pages name. */
const FOREIGN_FLAGS = new Set(
  "--add-port --add-rich-rule --add-source --all --build-arg --cascade --cluster-dns --disable-sigusr1 --dport --field-selector --image --loadbalancer-ip-range --no-install-recommends --orig-dst --patch-file --pdeathsig --permanent --platform --previous --profile --reload --run-service-proxy --service-cluster-ip-range --service-external-ip-range --service-node-port-range --skip-phases --stats --timeout --zone".split(
    " ",
  ),
);

describe.each(PAGES)("%s", (page) => {
  const text = textOf(page);

  test("names only existing metrics", () => {
    const isKnown = (name: string) =>
      metricNames().some((known) => (name.endsWith("_") ? known.startsWith(name) : name === known));
    const named = [...text.matchAll(/\b(?:kube_ipvs|kubeproxy)_\w+/g)].map(([name]) => name);
    expect(named.filter((name) => !isKnown(name))).toEqual([]);
  });

  test("names only existing flags", () => {
    const named = [...text.matchAll(/(?<![\w-])--[a-z][a-z0-9-]*/g)].map(([name]) => name);
    const isKnown = (name: string) =>
      FOREIGN_FLAGS.has(name) ||
      FLAG_NAMES.some((flag) => flag === name || (name.endsWith("-") && flag.startsWith(name)));
    expect(named.filter((name) => !isKnown(name))).toEqual([]);
  });

  test("links only to existing files and headings", () => {
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)];
    const broken = links.filter(([, file = "", heading]) => {
      const target = file === "" ? page : join(dirname(page), file);
      return !existsSync(join(ROOT, target)) || (heading !== undefined && !anchorsOf(textOf(target)).has(heading));
    });
    expect(broken.map(([link]) => link)).toEqual([]);
  });
});

test.each(["CONTRIBUTING.md", "docs/design.md", "src/README.md"])("%s names only files that there are", (page) => {
  const named = [...textOf(page).matchAll(/`((?:[\w-]+\/)+(?:[\w.-]+\.\w+)?)`/g)].map(([, path = ""]) => path);
  const isThere = (path: string) =>
    ["", "src", "test"].some((folder) => existsSync(join(ROOT, folder, path))) ||
    globSync(`src/**/${path}`, { cwd: ROOT }).length > 0;
  expect(named.filter((path) => !isThere(path))).toEqual([]);
});

/** The anchors that GitHub makes of headings. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}
