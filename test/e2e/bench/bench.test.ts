import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Scenario } from "../../../bench/cli/arguments.ts";
import { planOf, type Step } from "../../../bench/cli/plan.ts";
import { type BenchEvent, type Figure, figuresOf } from "../../../bench/report/figure.ts";
import { BUNDLE } from "../../support/run/bundle.ts";

const RUN_STEPS = join(import.meta.dirname, "../../../bench/stages/run-steps.ts");
const PROXY = join(import.meta.dirname, "../../support/bench/naive-proxy.ts");
const SIZE = { services: 12, endpoints: 4, ports: 1 };

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp("/run/kube-ipvs-bench-");
  await writeFile(join(folder, "empty"), "");
  await promisify(execFile)("mkdir", ["-p", join(folder, "logs"), join(folder, "agent")]);
  await promisify(execFile)("sh", ["-c", `cp -r "$(dirname ${BUNDLE})"/. ${folder}/agent`]);
});
afterAll(() => rm(folder, { recursive: true }));

/** Runs the steps of a plan as `npm run bench` does in its guest; returns the events. */
async function run(scenarios: readonly Scenario[], peers: readonly string[] = []): Promise<readonly BenchEvent[]> {
  const limits = { rounds: 1, seconds: 1, churnLimit: 50 };
  const steps: readonly Step[] = planOf({ sizes: [SIZE], scenarios, peers, folder, ...limits }).flatMap(
    (plan) => plan.steps,
  );
  const file = join(folder, "steps.json");
  await writeFile(file, JSON.stringify(steps));
  const numbers = steps.map((_, place) => `${place}`);
  const { stdout } = await promisify(execFile)(process.execPath, [RUN_STEPS, file, ...numbers]);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function figures(events: readonly BenchEvent[]): readonly Figure[] {
  return figuresOf(events.flatMap((event) => (event.kind === "samples" ? [event] : [])));
}

const failures = (events: readonly BenchEvent[]) => events.filter(({ kind }) => kind === "failed");
const found = (all: readonly Figure[], subject: string, scenario: string, metric: string) =>
  all.find((one) => one.subject === subject && one.scenario === scenario && one.metric === metric)?.value;

describe("a benchmark on a real kernel", () => {
  test("measures the agent from memory to the kernel, and the floors with the same objects", async () => {
    const events = await run(["sync", "takeover"]);
    expect(failures(events)).toEqual([]);
    const all = figures(events);
    const [own, bytes, tools] = ["kube-ipvs", "floor: the same bytes", "floor: ipvsadm, ipset, ip"].map((subject) =>
      found(all, subject, "sync", "cold start"),
    );
    expect(own).toBeGreaterThan(bytes ?? 0);
    expect(tools).toBeGreaterThan(bytes ?? 0);
    expect(found(all, "kube-ipvs", "sync", "operations of a warm restart")).toBe(0);
    expect(found(all, "kube-ipvs", "takeover", "three changes programmed")).toBeGreaterThan(0);
    // The state was taken over by a program that runs, not found before it ran.
    expect(found(all, "kube-ipvs", "takeover", "peak RSS until then")).toBeGreaterThan(30);
    // What the tools have written is what the agent had programmed: 13 ports, since kube-dns has two.
    expect((await readFile(join(folder, "state-12x4", "servers"), "utf8")).match(/^-A /gm)).toHaveLength(13);
  });

  test("measures the whole agent, other proxies by what the kernel has, and keepalived", async () => {
    const peers = ["ipvs", "iptables"].map((mode) => `naive ${mode}=${process.execPath} ${PROXY} ${mode}`);
    const events = await run(["cold", "service", "drain", "keepalived"], peers);
    expect(failures(events)).toEqual([]);
    const all = figures(events);
    for (const subject of ["kube-ipvs", "naive ipvs", "naive iptables"]) {
      expect(found(all, subject, "cold start", "all programmed"), subject).toBeGreaterThan(0);
      expect(found(all, subject, "cold start", "CPU"), subject).toBeGreaterThan(0);
      expect(found(all, subject, "Service added and deleted", "added, p50"), subject).toBeGreaterThan(0);
      expect(found(all, subject, "node drain", "first change to all gone"), subject).toBeGreaterThan(0);
    }
    expect(found(all, "keepalived", "one endpoint changes", "API to kernel, p50")).toBeGreaterThan(0);
  });

  test("says what a program that ends has printed", async () => {
    const events = await run(["cold"], ["broken=echo no such flag"]);
    expect(failures(events)).toEqual([
      expect.objectContaining({ subject: "broken", scenario: "cold", reason: expect.stringContaining("no such flag") }),
    ]);
  });
});
