import { expect, test } from "vitest";
import type { IPFamily } from "../../../../src/model/address.ts";
import { type LocalMode, podMatch } from "../../../../src/node/rules/pod-match.ts";
import { network } from "../../../support/objects/desired.ts";

const OPTIONS = {
  clusterCIDRs: [network("10.244.0.0/16"), network("fd00:244::/32"), network("10.245.0.0/16")],
  podCIDRs: [network("10.244.3.0/24")],
  bridge: "cni0",
  interfacePrefix: "cali",
};

test.each<[LocalMode, IPFamily, string | undefined]>([
  ["ClusterCIDR", "IPv4", "-s 10.244.0.0/16"],
  ["ClusterCIDR", "IPv6", "-s fd00:244::/32"],
  ["NodeCIDR", "IPv4", "-s 10.244.3.0/24"],
  ["NodeCIDR", "IPv6", undefined],
  ["BridgeInterface", "IPv4", "-i cni0"],
  ["BridgeInterface", "IPv6", "-i cni0"],
  ["InterfaceNamePrefix", "IPv4", "-i cali+"],
])("pods by %s in %s: %s", (mode, family, match) => {
  expect(podMatch({ mode, ...OPTIONS }, family)).toBe(match);
});
