import { expect, test } from "vitest";
import { reasonOf } from "../../../../../src/sources/api/transport/reason.ts";

const refused = (address: string) =>
  Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: "ECONNREFUSED" });

test.each([
  [new Error("it broke"), "it broke"],
  ["text", "text"],
  [undefined, "undefined"],
  [Object.assign(new Error(""), { code: "ECONNRESET" }), "ECONNRESET"],
  [new TypeError(""), "TypeError"],
  [
    Object.assign(new AggregateError([refused("10.0.0.1:6443"), refused("[fd00::1]:6443")]), { code: "ECONNREFUSED" }),
    "connect ECONNREFUSED 10.0.0.1:6443, connect ECONNREFUSED [fd00::1]:6443",
  ],
  [new AggregateError([new Error("twice"), new Error("twice")], "all failed"), "all failed: twice"],
  [new AggregateError([]), "AggregateError"],
])("%# a reason is never empty", (error, reason) => {
  expect(reasonOf(error)).toBe(reason);
});
