import fc from "fast-check";
import { expect, test } from "vitest";
import { KERNELS } from "../support/run/kernels.ts";
import { filesOf, type Job, jobOf, jobsOf, kernelFiles, lineOf, type Selection } from "../support/run/pool/plan.ts";
import { evenShards } from "../support/run/pool/shards.ts";

const seconds = (cost: number) => cost;

test("every file is in one shard, and no shard takes longer than the shortest one by more than a file", () => {
  const costs = fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 30 });
  fc.assert(
    fc.property(costs, fc.integer({ min: 1, max: 4 }), (files, count) => {
      const shards = evenShards(files, count, seconds);
      expect(shards).toHaveLength(count);
      expect(shards.flat().toSorted()).toEqual(files.toSorted());
      const sums = shards.map((shard) => shard.reduce((sum, cost) => sum + cost, 0));
      expect(Math.max(...sums) - Math.min(...sums)).toBeLessThanOrEqual(Math.max(0, ...files));
    }),
  );
});

const FILES = kernelFiles();
const SELECTIONS: readonly Selection[] = [{}, { all: true }, { kernel: "5.10" }, { suite: "flows" }];
const ofKernel = (jobs: readonly Job[], name: string) =>
  jobs.filter(({ kernel }) => kernel === name).flatMap(({ files }) => files);

test("npm test runs every suite on the usual kernel", () => {
  expect(ofKernel(jobsOf({}, FILES, false), "6.1").toSorted()).toEqual(FILES);
});

test.each(SELECTIONS)("the jobs of %j hold each file of each kernel once", (selection) => {
  const jobs = jobsOf(selection, FILES, false);
  for (const kernel of KERNELS)
    expect(ofKernel(jobs, kernel.name).toSorted()).toEqual(filesOf(kernel, selection, FILES));
});

test("the kernel of the host takes the place of the usual one, in a single job", () => {
  const jobs = jobsOf({}, FILES, true);
  expect(ofKernel(jobs, "6.1")).toEqual([]);
  expect(jobs.filter(({ kernel }) => kernel === "host").map(({ files }) => files.toSorted())).toEqual([FILES]);
});

test.each(KERNELS)("each path in the row of kernel $name names test files", ({ always, rest = [] }) => {
  const named = (path: string) => FILES.filter((file) => file === path || file.startsWith(`${path}/`));
  for (const path of [...always, ...rest]) expect({ path, files: named(path) }).not.toEqual({ path, files: [] });
});

test.each<[suite: string, files: readonly string[]]>([
  ["flows", FILES.filter((file) => file.startsWith("test/e2e/flows/"))],
  ["marks", ["test/e2e/flows/marks.test.ts"]],
  ["nothing", []],
])("the suite %s is a folder or a file", (suite, files) => {
  expect(ofKernel(jobsOf({ suite }, FILES, false), "6.1").toSorted()).toEqual(files);
});

test("a suite runs on the kernels of npm test, unless all of them or one is named", () => {
  const kernels = (selection: Selection) => [...new Set(jobsOf(selection, FILES, false).map(({ kernel }) => kernel))];
  expect(kernels({ suite: "sctp" }).toSorted()).toEqual(["6.1"]);
  expect(kernels({ suite: "sctp", all: true })).toEqual(expect.arrayContaining(["qemu-6.12", "6.1"]));
  expect(kernels({ suite: "sctp", kernel: "qemu-6.12" })).toEqual(["qemu-6.12"]);
});

test("the jobs of the usual kernel begin first, and the longest of each part before the others", () => {
  const jobs = jobsOf({ all: true }, FILES, false);
  const usual = jobs.findLastIndex(({ kernel }) => kernel === "6.1") + 1;
  for (const part of [jobs.slice(0, usual), jobs.slice(usual)])
    expect(part.map(({ seconds }) => seconds)).toEqual(part.map(({ seconds }) => seconds).toSorted((a, b) => b - a));
  expect(new Set(jobs.slice(0, usual).map(({ kernel }) => kernel))).toEqual(new Set(["6.1"]));
});

test("a job is read from its line as it was", () => {
  for (const job of jobsOf({ all: true }, FILES, false)) expect(jobOf(lineOf(job))).toEqual(job);
});
