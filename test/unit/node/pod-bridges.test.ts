import { expect, test } from "vitest";
import { type IPFamily, parseCidr } from "../../../src/model/address.ts";
import { describePodBridges, type PodPlaces } from "../../../src/node/pod-bridges.ts";
import { address } from "../../support/objects/desired.ts";

const BRIDGES = [
  { name: "cni0", addresses: ["10.244.1.1", "fd00:244:1::1", "fe80::1"].map(address) },
  { name: "docker0", addresses: [address("172.17.0.1")] },
];
const networks = (...texts: readonly string[]) => texts.flatMap((text) => parseCidr(text) ?? []);

test.each<[string, PodPlaces, readonly IPFamily[], readonly string[]]>([
  ["both families are filtered", { bridge: "cni0", networks: [] }, [], []],
  ["the location of pods is unknown", { bridge: "", networks: [] }, ["IPv4", "IPv6"], []],
  ["pods are elsewhere", { bridge: "", networks: networks("10.0.0.0/16") }, ["IPv4", "IPv6"], []],
  ["one family has pods there", { bridge: "", networks: networks("10.244.0.0/16") }, ["IPv4", "IPv6"], ["cni0 IPv4"]],
  ["only the other family is unfiltered", { bridge: "", networks: networks("10.244.0.0/16") }, ["IPv6"], []],
  [
    "both families have pods there",
    { bridge: "", networks: networks("10.244.0.0/16", "fd00:244::/32") },
    ["IPv4", "IPv6"],
    ["cni0 IPv4", "cni0 IPv6"],
  ],
  ["the bridge is configured", { bridge: "docker0", networks: [] }, ["IPv4", "IPv6"], ["docker0 IPv4"]],
])("a bridge of pods is reported with its remedy only if necessary: %s", (_, locations, unfiltered, expected) => {
  const texts = describePodBridges({ bridges: BRIDGES, unfiltered }, locations);
  expect(texts.map((text) => /"(\S+)" passes (\S+) .*sysctl -w net.bridge/.exec(text)?.slice(1).join(" "))).toEqual(
    expected,
  );
});
