import fc from "fast-check";
import { expect, test } from "vitest";
import { statusOf, statusOfAnswer } from "../../../../../src/sources/api/transport/api-status.ts";
import { retryAfterMs } from "../../../../../src/sources/api/transport/connection.ts";

const NOON = "Sun, 29 Nov 2026 12:00:00 GMT";

test.each([
  ["", 0],
  ["0", 0],
  ["7", 7000],
  ["60", 60_000],
  ["61", 60_000],
  ["86400", 60_000],
  ["2147484", 60_000],
  ["9".repeat(400), 60_000],
  ["-5", 0],
  ["soon", 0],
  ["Sun, 29 Nov 2026 12:00:20 GMT", 20_000],
  ["Mon, 30 Nov 2026 12:00:00 GMT", 60_000],
  ["Sun, 29 Nov 2026 11:00:00 GMT", 0],
])("Retry-After %j at noon is %i ms", (header, ms) => {
  expect(retryAfterMs(header, NOON)).toBe(ms);
});

test("Retry-After as a date is ignored without the date of the answer", () => {
  expect(retryAfterMs("Sun, 29 Nov 2026 12:00:20 GMT", "")).toBe(0);
});

test("the wait is from 0 to a minute for any Retry-After", () => {
  const seconds = fc.oneof(fc.double(), fc.bigInt().map(Number), fc.constantFrom(1e9, 2_147_484, -1));
  fc.assert(
    fc.property(seconds, fc.oneof(fc.string(), seconds.map(String)), (retryAfterSeconds, header) => {
      const fromHeader = retryAfterMs(header, NOON);
      const body = JSON.stringify({ details: { retryAfterSeconds } });
      for (const ms of [
        fromHeader,
        statusOf({ details: { retryAfterSeconds } }).retryAfterMs,
        statusOfAnswer(429, fromHeader, body).retryAfterMs,
      ]) {
        expect(ms).toBeGreaterThanOrEqual(0);
        expect(ms).toBeLessThanOrEqual(60_000);
      }
    }),
  );
});
