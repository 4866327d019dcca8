import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import type { Figure } from "../../../bench/report/figure.ts";
import { publish, withSection } from "../../../bench/report/publish.ts";
import { ratiosOf } from "../../../bench/report/ratios.ts";
import { writeReport } from "../../../bench/report/report.ts";
import type { Results } from "../../../bench/report/results.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "bench-report-"));
  folders.push(folder);
  return folder;
}

const figure = (parts: Partial<Figure>): Figure => ({
  ...{ subject: "kube-ipvs", size: "10000x10", scenario: "sync", metric: "cold start", unit: "ms" },
  ...{ value: 900, low: 880, high: 950, n: 3, warmUp: 0 },
  ...parts,
});
const CHANGE = { scenario: "one endpoint changes", metric: "API to kernel, p50" };

const results = (parts: Partial<Results> = {}): Results => ({
  machine: { date: "2026-11-30", CPU: "a CPU" },
  guests: [{ kernel: "User Mode Linux 6.1" }],
  options: { command: "npm run bench -- --quick", rounds: 3, seconds: 60 },
  calibration: { before: { loopMs: [1], nodeStartMs: [1], busyCpus: 0 }, after: undefined },
  noise: [],
  isComplete: true,
  figures: [
    figure({}),
    figure({ subject: "floor: the same bytes", value: 450, low: 440, high: 460 }),
    figure({ ...CHANGE, value: 3.5, low: 3, high: 4, quantiles: Array.from({ length: 101 }, (_, at) => 1 + at / 10) }),
    figure({ ...CHANGE, size: "1000x10", value: 3, low: 3, high: 3 }),
  ],
  failures: [{ subject: "keepalived", size: "10000x10", scenario: "keepalived", reason: "a | b" }],
  ...parts,
});

test("ratios are of the medians, and their spread is the widest that both allow", () => {
  const ratios = ratiosOf(results().figures);
  expect(ratios.map(({ size, metric, value }) => [size, metric, Number(value.toFixed(2))])).toEqual([
    ["10000x10", "cold start to the same bytes", 2],
    ["10000x10", "one change to that of 1000x10", 1.17],
  ]);
  expect(ratios[0]?.low).toBeCloseTo(880 / 460);
  expect(ratios[0]?.high).toBeCloseTo(950 / 440);
});

test("a run has a page with figures, targets, recorded figures and what was not measured, and plots", () => {
  const folder = newFolder();
  writeReport(folder, results());
  const page = readFileSync(join(folder, "results.md"), "utf8");
  expect(page).toContain("Measured 2026-11-30 by `npm run bench -- --quick`: kernel User Mode Linux 6.1, CPU a CPU.");
  expect(page).toContain("| 10,000 Services x 10 endpoints | kube-ipvs | 2 (1.91-2.16, n 3), target 2: met |");
  expect(page).toContain("3.5 ms (3-4, n 3), target 3: missed");
  expect(page).toMatch(
    /\| 5,000 Services x 10 endpoints \| kube-proxy 1\.36, ipvs \| 5\.5 s .*recorded, not of this run/,
  );
  expect(page).toContain("| 10000x10 | keepalived | keepalived | a \\| b |");
  expect(page).not.toContain("NOISY");
  expect(readFileSync(join(folder, "one-change.svg"), "utf8")).toContain("kube-ipvs, 10000x10");
  expect(readFileSync(join(folder, "cold-start.svg"), "utf8")).toMatch(/^<svg/);
  expect(page).toContain("](one-change.svg)");
  expect(existsSync(join(folder, "memory.svg"))).toBe(false);
});

test("a noisy run says so loudly, and decides nothing about targets", () => {
  const folder = newFolder();
  writeReport(folder, results({ noise: ["other programs kept 1.00 CPUs busy before the run"] }));
  const page = readFileSync(join(folder, "results.md"), "utf8");
  expect(page).toContain("**NOISY MACHINE: these figures are not reliable.**");
  expect(page).toContain("3.5 ms (3-4, n 3), target 3 |");
  expect(page).not.toMatch(/: (met|missed)/);
});

function repository(): string {
  const root = newFolder();
  mkdirSync(join(root, "bench"));
  const text = "before\n<!-- results of npm run bench -->\nthe last run\n<!-- end of the results -->\nafter\n";
  for (const file of ["README.md", "bench/README.md"]) writeFileSync(join(root, file), text);
  return root;
}

test("publishing writes the results and the marked parts of the READMEs", () => {
  const [folder, root] = [newFolder(), repository()];
  writeReport(folder, results());
  publish(folder, false, root);
  const readme = readFileSync(join(root, "README.md"), "utf8");
  expect(readme).toMatch(
    /^before\n<!-- .*2 \(target 2: met\).*one-change\]\(bench\/results\/one-change\.svg\).*after\n$/s,
  );
  expect(readme).not.toContain("the last run");
  expect(readme).not.toContain("--quick");
  expect(readFileSync(join(root, "bench/README.md"), "utf8")).toContain("[All figures](results/results.md)");
  expect(existsSync(join(root, "bench/results/results.json"))).toBe(true);
});

test("a noisy or unfinished run is not published unless that is accepted", () => {
  for (const parts of [{ noise: ["noise"] }, { isComplete: false }]) {
    const [folder, root] = [newFolder(), repository()];
    writeReport(folder, results(parts));
    expect(() => publish(folder, false, root)).toThrow("not published");
    expect(existsSync(join(root, "bench/results/results.md"))).toBe(false);
    publish(folder, true, root);
    expect(readFileSync(join(root, "README.md"), "utf8")).toMatch(/\*\*(NOISY|INCOMPLETE)/);
  }
});

test("the page of one part is published beside the others", () => {
  const [folder, root] = [newFolder(), repository()];
  for (const kind of ["md", "json"]) writeFileSync(join(folder, `watch.${kind}`), kind);
  expect(publish(folder, false, root)).toContain("bench/results/watch.md");
  cpSync(join(root, "bench/results/watch.md"), join(folder, "copy"));
  expect(readFileSync(join(folder, "copy"), "utf8")).toBe("md");
});

test("a folder without results, and a README without marks, are errors with names", () => {
  expect(() => publish("/nonexistent", true, repository())).toThrow('"/nonexistent" has no results');
  expect(() => withSection("text", "section")).toThrow("<!-- results of npm run bench -->");
});
