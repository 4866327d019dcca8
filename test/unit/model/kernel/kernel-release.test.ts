import { expect, test } from "vitest";
import { isOlderKernel } from "../../../../src/model/kernel/kernel-release.ts";

test.each([
  ["5.10.0-30-amd64", 5, 16, true],
  ["5.16.0", 5, 16, false],
  ["6.1.0-18-amd64", 6, 2, true],
  ["6.12.4", 6, 2, false],
  ["7.0.0", 6, 2, false],
  ["unknown", 6, 2, false],
])("%s is older than %d.%d: %s", (release, major, minor, isOlder) => {
  expect(isOlderKernel(release, major, minor)).toBe(isOlder);
});
