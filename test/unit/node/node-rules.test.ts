import { expect, test } from "vitest";
import type { NodeSetup, RulesReport } from "../../../src/kernel/kernel.ts";
import { NodeRules } from "../../../src/node/node-rules.ts";

const WRITTEN: RulesReport = { changed: ["wrote table"], failures: [] };

function setup(...families: NodeSetup["families"]): NodeSetup {
  return { families, rules: {}, excludedCIDRs: [], sysctls: [], ipvsTimeouts: [] };
}

/** Rules that take longer than three seconds, all of which pass at once. */
function slowRules() {
  const attempts: { readonly setup: NodeSetup; readonly end: (report: RulesReport) => void }[] = [];
  const reports: RulesReport[] = [];
  const rules = new NodeRules({
    writeRules: (wanted) => new Promise((resolve) => attempts.push({ setup: wanted, end: resolve })),
    clock: { sleep: () => Promise.resolve() },
    onReport: (report) => reports.push(report),
  });
  return { rules, attempts, reports };
}

test("an attempt that takes longer than the time between two requests for the same rules ends with its report", async () => {
  const { rules, attempts, reports } = slowRules();
  await rules.write(setup("IPv4"));
  await rules.write(setup("IPv4"));
  attempts[0]?.end(WRITTEN);
  await Promise.resolve();
  expect(reports.at(-1)).toEqual(WRITTEN);
  expect(attempts).toHaveLength(1);
});

test("a request for other rules during an attempt is written after it", async () => {
  const { rules, attempts, reports } = slowRules();
  await rules.write(setup("IPv4"));
  await rules.write(setup("IPv4", "IPv6"));
  attempts[0]?.end({ changed: [], failures: [] });
  await Promise.resolve();
  expect(attempts.map((attempt) => attempt.setup)).toEqual([setup("IPv4"), setup("IPv4", "IPv6")]);
  attempts[1]?.end(WRITTEN);
  await Promise.resolve();
  expect(reports.at(-1)).toEqual(WRITTEN);
});
