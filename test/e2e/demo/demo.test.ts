import { expect, test } from "vitest";
import { finished } from "../../support/node/namespace.ts";
import { patient } from "../../support/time/patience.ts";

test("npm run demo shows what it expects on this kernel", { timeout: patient(120_000) }, async () => {
  const { code, out, err } = await finished([process.execPath, "examples/demo.ts"]);
  expect({ code, failed: out.split("\n").filter((line) => line.includes("FAIL")), err }).toEqual({
    code: 0,
    failed: [],
    err: expect.any(String),
  });
  expect(out).toMatch(/[1-9]\d* expectations met, 0 not/);
});
