import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/model/address.ts";

describe("an IPv4 address", () => {
  test.each(["0.0.0.0", "10.96.0.1", "9.99.100.199", "200.249.250.255"])("%s stays as it is", (text) => {
    expect(parseAddress(text)).toBe(text);
  });

  test.each([
    ["010.0.0.1", "10.0.0.1"],
    ["10.96.000.001", "10.96.0.1"],
    [" 10.96.0.1\n", "10.96.0.1"],
    ["::ffff:10.96.0.1", "10.96.0.1"],
  ])("%j is %s", (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
  });

  test.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3.4",
    "256.0.0.1",
    "1.2.3.300",
    "1.2.3.4a",
    "1.2.3.-4",
    "1,2,3,4",
  ])("%j is none", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});
