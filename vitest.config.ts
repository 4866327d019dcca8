import { defineConfig } from "vitest/config";
import { RecordReporter } from "./test/support/run/results/record-reporter.ts";
import { patient } from "./test/support/time/patience.ts";
import { withPatientLimits } from "./test/support/time/runner-limits.ts";

globalThis.setTimeout = withPatientLimits(globalThis.setTimeout);

/** How many more cases properties are tried with, which take as much longer. */
const { STRESS = "1" } = process.env;

/** Of tests in memory; most take milliseconds. */
const LIMITS = { testTimeout: patient(20_000), hookTimeout: patient(20_000) };

/** Folders by what they need: `kernel` and `e2e` run on a real IPVS kernel as root, `run` starts one, the others need nothing. */
export default defineConfig({
  test: {
    reporters: ["default", new RecordReporter()],
    projects: [
      { test: { name: "unit", include: ["test/{unit,packaging,harness}/**/*.test.ts"], ...LIMITS } },
      {
        test: {
          name: "properties",
          include: ["test/properties/**/*.test.ts"],
          ...LIMITS,
          testTimeout: patient(120_000 * Math.max(1, Number(STRESS))),
        },
      },
      { test: { name: "scenarios", include: ["test/scenarios/**/*.test.ts"], ...LIMITS } },
      { test: { name: "contract", include: ["test/kernel/memory.test.ts"], ...LIMITS } },
      {
        test: {
          name: "image",
          include: ["test/image/*.test.ts"],
          testTimeout: patient(300_000),
          hookTimeout: patient(60_000),
        },
      },
      { test: { name: "browser", include: ["test/browser/*.test.ts"], testTimeout: patient(120_000) } },
      { test: { name: "run", include: ["test/run/*.test.ts"], testTimeout: patient(120_000) } },
      {
        test: {
          name: "kernel",
          include: ["test/kernel/*.real.test.ts", "test/e2e/**/*.test.ts"],
          fileParallelism: false,
          isolate: false,
          pool: "forks",
          globalSetup: "test/support/run/bundle.ts",
          testTimeout: patient(60_000),
          hookTimeout: patient(120_000),
        },
      },
    ],
  },
});
