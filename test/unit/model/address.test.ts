import { describe, expect, test } from "vitest";
import { parseAddress, parseCidr } from "../../../src/model/address.ts";

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

/** Written by hand from the documentation of Go's net/netip and RFC 4291, section 2.2. */
describe("an IPv6 address", () => {
  test.each([
    ["::", "::"],
    ["::1", "::1"],
    ["FD00::00A0", "fd00::a0"],
    ["0000:0000:0000:0000:0000:0000:0000:0001", "::1"],
    ["fd00:0:0:1:0:0:0:1", "fd00:0:0:1::1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    // IPv4-compatible is not IPv4-mapped: the node must take the address that admission saw.
    ["::10.0.0.5", "::a00:5"],
    ["::0.0.0.0", "::"],
    ["0:0:0:0:0:0:10.0.0.5", "::a00:5"],
    ["::ffff:0:10.0.0.5", "::ffff:0:a00:5"],
    ["::1:ffff:10.0.0.5", "::1:ffff:a00:5"],
    ["::ffff:10.0.0.5", "10.0.0.5"],
    ["::FFFF:10.0.0.5", "10.0.0.5"],
    ["::ffff:a00:5", "10.0.0.5"],
    ["0:0:0:0:0:ffff:10.0.0.5", "10.0.0.5"],
    ["::ffff:010.0.0.08", "10.0.0.8"],
  ])("%j is %s", (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
  });

  test.each([
    "::ffff:0x0a.0.0.5",
    "::0xa.0.0.5",
    "::ffff:10.0.5",
    "::ffff:167772165",
    "::ffff:256.0.0.1",
    "1:2:3:4:5:6::1.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::1.2.3.4%eth0",
    "fe80::1%eth0",
    "fe80::1%",
    "[::1]",
    "::1/128",
    "1:2:3:4:5:6:7::8",
    "1:2:3:4:5:6:7:8:",
    "1:2:3:4:5:6:7",
    "1::2::3",
    ":::",
    ":",
    ":1::",
    "12345::",
    "00001::",
    "g::",
    "0x1::",
    "::-1",
  ])("%j is none", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe("a network", () => {
  test.each([
    ["10.0.0.1/8", "10.0.0.0/8"],
    ["010.0.0.0/08", "10.0.0.0/8"],
    ["10.0.0.1/0", "0.0.0.0/0"],
    ["FD00::1/64", "fd00::/64"],
    ["::10.0.0.5/128", "::a00:5/128"],
    ["::10.0.0.5/104", "::a00:0/104"],
  ])("%j is %s", (text, canonical) => {
    expect(parseCidr(text)?.text).toBe(canonical);
  });

  test.each([
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/+8",
    "10.0.0.0/ 8",
    "10.0.0.0/8/8",
    "10.0/8",
    "::/129",
    "fe80::%eth0/64",
    "::ffff:10.0.0.0/104",
  ])("%j is none", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});
