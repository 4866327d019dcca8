import fc from "fast-check";
import { expect, test } from "vitest";
import { FirstLists } from "../../../src/services/first-lists.ts";
import { ServiceTable } from "../../../src/services/service-table.ts";

const RESOURCES = ["services", "endpointslices", "nodes"] as const;
const PATIENCE_MS = 10_000;

test("the first lists are complete with all three, or ten seconds after those of Services and EndpointSlices", () => {
  const step = fc.record({ resource: fc.constantFrom(...RESOURCES), waitMs: fc.nat(PATIENCE_MS) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), fc.nat(2 * PATIENCE_MS), (steps, restMs) => {
      let nowMs = 0;
      const table = new ServiceTable();
      const lists = new FirstLists(table, { now: () => nowMs });
      const arrivedAtMs = new Map<string, number>();
      const expectRight = () => {
        const [services = Infinity, slices = Infinity, nodes = Infinity] = RESOURCES.map((one) => arrivedAtMs.get(one));
        const needed = Math.max(services, slices);
        expect(lists.areComplete).toBe(needed < Infinity && (nodes < Infinity || nowMs >= needed + PATIENCE_MS));
      };
      expectRight();
      for (const { resource, waitMs } of steps) {
        nowMs += waitMs;
        if (!arrivedAtMs.has(resource)) arrivedAtMs.set(resource, nowMs);
        table.apply({ kind: "listed", resource });
        lists.onEvent();
        expectRight();
      }
      nowMs += restMs;
      expectRight();
    }),
  );
});
