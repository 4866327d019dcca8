import fc from "fast-check";
import { expect, test } from "vitest";
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
