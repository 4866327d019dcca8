import { defineConfig } from "vitest/config";
import { EvenShards } from "./test/support/shards.ts";

/** Folders by what they need: `kernel` and `e2e` want a real IPVS kernel and root, the others nothing. */
export default defineConfig({
  test: {
    sequence: { sequencer: EvenShards },
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      { test: { name: "properties", include: ["test/properties/**/*.test.ts"], testTimeout: 120_000 } },
      { test: { name: "scenarios", include: ["test/scenarios/**/*.test.ts"] } },
      { test: { name: "contract", include: ["test/kernel/memory.test.ts"] } },
      {
        test: {
          name: "kernel",
          include: ["test/kernel/*.real.test.ts", "test/e2e/**/*.test.ts"],
          fileParallelism: false,
          isolate: false,
          pool: "forks",
          globalSetup: "test/support/bundle.ts",
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
