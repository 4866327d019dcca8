import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenBucket } from "../../../../src/model/time/token-bucket.ts";

test("no period has more tokens than the burst and the refill, and a long wait gets all of them", () => {
  const pauses = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 1000 })));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 }), pauses, (burst, refillMs, waits) => {
      const bucket = new TokenBucket(burst, refillMs);
      const taken: number[] = [];
      let nowMs = 0;
      for (const waitMs of waits) {
        nowMs += waitMs;
        while (bucket.readyAtMs(nowMs) <= nowMs) {
          bucket.take(nowMs);
          taken.push(nowMs);
        }
      }
      taken.forEach((fromMs, first) => {
        taken.slice(first).forEach((toMs, count) => {
          expect(count + 1).toBeLessThanOrEqual(burst + Math.floor((toMs - fromMs) / refillMs));
        });
      });
      // The bucket is empty now; after this long it is full.
      const fullMs = nowMs + burst * refillMs;
      for (let token = 0; token < burst; token++) {
        expect(bucket.readyAtMs(fullMs)).toBe(fullMs);
        bucket.take(fullMs);
      }
      expect(bucket.readyAtMs(fullMs)).toBe(fullMs + refillMs);
    }),
  );
});
