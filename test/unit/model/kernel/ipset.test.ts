import { expect, test } from "vitest";
import { FAMILIES } from "../../../../src/model/address.ts";
import { ipset, ipsets, type SetBase } from "../../../../src/model/kernel/ipset.ts";

test.each<[SetBase, string]>([
  ["KUBE-CLUSTER-IP", "KUBE-6-CLUSTER-IP"],
  ["KUBE-LOAD-BALANCER-SOURCE-CIDR", "KUBE-6-LOAD-BALANCER-SOURCE-CID"],
  ["KUBE-LOAD-BALANCER-SOURCE-IP", "KUBE-6-LOAD-BALANCER-SOURCE-IP"],
  ["KUBE-NODE-PORT-LOCAL-SCTP-HASH", "KUBE-6-NODE-PORT-LOCAL-SCTP-HAS"],
  ["KUBE-HEALTH-CHECK-NODE-PORT", "KUBE-6-HEALTH-CHECK-NODE-PORT"],
])("set %s is %s for IPv6, as kube-proxy cuts it", (base, name) => {
  expect(ipset(base, "IPv4").name).toBe(base);
  expect(ipset(base, "IPv6").name).toBe(name);
});

test("every set name fits the kernel's 31 characters and is unique", () => {
  const names = FAMILIES.flatMap(ipsets).map(({ name }) => name);
  expect(names.filter((name) => name.length > 31)).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
});
