import { describe, expect, test } from "vitest";
import type { Frontend } from "../../../../src/desired/service/frontends.ts";
import type { VirtualServer } from "../../../../src/model/kernel/ipvs.ts";
import { proxyRules } from "../../../../src/node/rules/proxy-rules.ts";
import { isOurs } from "../../../../src/sync/plan/ownership.ts";
import { releaseLimitMs } from "../../../../src/sync/plan/release.ts";
import type { ServiceSpec } from "../../../support/objects/builders.ts";
import { address, built, membersOf } from "../../../support/objects/desired.ts";

/** A Service with a frontend of each kind, and its address. The compiler requires a row when a kind is added. */
const KINDS: Readonly<
  Record<Frontend["kind"], { readonly said: ServiceSpec; readonly at: string; readonly isExternalVip: boolean }>
> = {
  "cluster-ip": { said: { ip: "10.96.0.9" }, at: "10.96.0.9", isExternalVip: false },
  "external-ip": { said: { externalIPs: ["198.51.100.1"] }, at: "198.51.100.1", isExternalVip: true },
  "load-balancer": { said: { loadBalancerIPs: ["203.0.113.1"] }, at: "203.0.113.1", isExternalVip: true },
  "node-port": { said: { ports: [{ port: 80, nodePort: 30_080 }] }, at: "192.168.1.10", isExternalVip: false },
};

const RULES = proxyRules({
  family: "IPv4",
  masqueradeBit: 14,
  masqueradeAll: false,
  pods: "-s 10.244.0.0/16",
  vipBinding: "address",
  localMarkMask: 0x107f,
  dropInvalid: true,
  randomFully: true,
});

/** The rules of a chain and of the chains of Services that it jumps to. */
function rulesOf(table: string, name: string): readonly string[] {
  const chains = RULES.tables.find((one) => one.name === table)?.chains ?? [];
  const own = chains.find((one) => one.name === name)?.rules ?? [];
  return own.flatMap((rule) => {
    const [, target = ""] = /-j (KUBE-NODE-PORT)$/.exec(rule) ?? [];
    return target === "" || target === name ? [rule] : [rule, ...rulesOf(table, target)];
  });
}

const POLICIES = ["Cluster", "Local"] as const;
const rows = Object.entries(KINDS).flatMap(([kind, row]) => POLICIES.map((external) => ({ kind, external, ...row })));

describe.each(rows)("a frontend of kind $kind, external policy $external,", ({ kind, said, at, external, ...row }) => {
  const state = built("shop/web", { ...said, external });
  const server = state.servers.map((state) => state.server).find((one) => one.address === at) as VirtualServer;
  const sets = membersOf(state)
    .filter((entry) => entry.address === at || (entry.address === undefined && entry.port === server.port))
    .filter(({ set }) => set.base !== "KUBE-IPVS-IPS")
    .map(({ set }) => set.name as string);
  const named = (rules: readonly string[]) =>
    rules.filter((rule) => sets.some((name) => rule.includes(`--match-set ${name} `)));

  test("is masqueraded or accepted by the nat rules", () => {
    expect(named(rulesOf("nat", "KUBE-SERVICES"))).not.toEqual([]);
  });

  test("is accepted behind the rules of the host, and its invalid packets are dropped", () => {
    expect(named(rulesOf("filter", "KUBE-IPVS-ACCEPT"))).not.toEqual([]);
    expect(named(rulesOf("filter", "KUBE-IPVS-INVALID"))).not.toEqual([]);
  });

  test("passes the filter of VIPs and is not forwarded, if it is on a VIP", () => {
    if (kind === "node-port") return;
    expect(named(rulesOf("filter", "KUBE-IPVS-FILTER"))).not.toEqual([]);
    expect(named(rulesOf("filter", "KUBE-FORWARD"))).not.toEqual([]);
  });

  test("is recognised as ours by its members", () => {
    const keys = new Set(membersOf(state).map(({ key }) => key));
    const nodeAddress = "KUBE-NODE-PORT-IPS 192.168.1.10";
    const evidence = {
      hasAddress: () => false,
      hasEntry: (key: string) => key === nodeAddress || [...keys].some((one) => one === key),
    };
    expect(isOurs(server, evidence, [])).toBe(true);
  });

  test("leaves kube-ipvs0 soon only if its address is external", () => {
    const keys = new Set<string>(membersOf(state).map(({ key }) => key));
    const actual = { hasAddress: () => true, hasEntry: (key: string) => keys.has(key) };
    const limit = releaseLimitMs({ ...server, address: address(at) }, { hasAddress: () => false }, actual);
    expect(limit !== undefined).toBe(row.isExternalVip);
  });
});
