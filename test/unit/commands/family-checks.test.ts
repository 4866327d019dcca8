import { expect, test } from "vitest";
import { checkFamilies } from "../../../src/commands/family-checks.ts";
import { readConfig } from "../../../src/config/config.ts";
import { FAMILIES, type IPFamily } from "../../../src/model/address.ts";

const SINGLE: readonly IPFamily[] = ["IPv4"];

function checked(families: readonly IPFamily[], texts: Readonly<Record<string, string>>) {
  const given = Object.entries({ nodeName: "n1", ...texts }).map(([key, text]) => [key, { source: key, text }]);
  const { config, problems } = readConfig(Object.fromEntries(given));
  expect(problems).toEqual([]);
  const { errors, warnings } = checkFamilies(config, families);
  return [...errors.map((text) => `error: ${text}`), ...warnings];
}

const DUAL = { clusterCidrs: "10.244.0.0/16,fd00:244::/32" };

test.each<[readonly IPFamily[], Readonly<Record<string, string>>, readonly RegExp[]]>([
  [SINGLE, {}, []],
  [SINGLE, { clusterCidrs: "10.244.0.0/16" }, []],
  [SINGLE, { clusterCidrs: "fd00:244::/32" }, [/^error: clusterCIDR fd00:244::\/32 has only networks of IPv6/]],
  [SINGLE, { clusterCidrs: "fd00:244::/32", localMode: "NodeCIDR" }, []],
  [SINGLE, DUAL, [/^clusterCIDR fd00:244::\/32 has no effect: this node does not support IPv6$/]],
  [SINGLE, { excludeCidrs: "10.0.0.0/8,fd00::/8" }, [/^ipvs.excludeCIDRs fd00::\/8 has no effect/]],
  [SINGLE, { nodePortAddresses: "fd00:192::/32" }, [/^nodePortAddresses fd00:192::\/32 has no effect/]],
  [SINGLE, { nodePortAddresses: "primary" }, []],
  [
    SINGLE,
    { bindAddress: "::" },
    [/^bindAddress :: has no/, /^healthzBindAddress :: has no/, /^metricsBindAddress ::1 has no/],
  ],
  [FAMILIES, { bindAddress: "::" }, []],
  [FAMILIES, { clusterCidrs: "fd00:244::/32" }, []],
  [
    FAMILIES,
    { ...DUAL, nodePortAddresses: "192.168.0.0/16" },
    [/has no network of IPv6, so NodePorts are open at all/],
  ],
  [FAMILIES, { ...DUAL, nodePortAddresses: "192.168.0.0/16,fd00::/8" }, []],
  [FAMILIES, { clusterCidrs: "10.244.0.0/16", nodePortAddresses: "192.168.0.0/16" }, []],
])("on a node of %j the settings %j are reported", (families, texts, expected) => {
  expect(checked(families, texts)).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
});
