import { expect, test } from "vitest";
import type { NodeSetup } from "../../../src/kernel/kernel.ts";
import { addressEntry, ipset } from "../../../src/model/kernel/ipset.ts";
import { Repairs } from "../../../src/node/repairs.ts";
import { address } from "../../support/objects/desired.ts";

const setup = (ipForward: string, more: Partial<NodeSetup> = {}): NodeSetup => ({
  families: ["IPv4"],
  rules: {},
  sysctls: [{ path: "net/ipv4/ip_forward", value: ipForward, compare: "equal", required: true }],
  ...more,
});
const members = [addressEntry(ipset("KUBE-NODE-PORT-IPS", "IPv4"), address("192.168.1.10"))];

test("changes for a setup that was written before are repairs, whatever members it has, and those for a new one are not", () => {
  const repairs = new Repairs();
  expect(repairs.written(setup("1"))).toBe(false);
  expect(repairs.written(setup("1", { members }))).toBe(true);
  expect(repairs.written(setup("1", { leftovers: "remove" }))).toBe(false);
  expect(repairs.written(setup("0"))).toBe(false);
  expect(repairs.written(setup("0"))).toBe(true);
  expect(repairs.written(setup("1"))).toBe(false);
});
