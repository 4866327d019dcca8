import { describe, expect, test } from "vitest";
import { DesiredStateBuilder } from "../../../../src/desired/desired-state-builder.ts";
import { parseRuleset } from "../../../../src/explain/trace/ruleset.ts";
import { type TraceStart, tracePacket, traceText } from "../../../../src/explain/trace/trace-packet.ts";
import type { ForeignTable } from "../../../../src/kernel/nftables/foreign-tables.ts";
import { FAMILIES } from "../../../../src/model/address.ts";
import { ipsets, type SetEntry } from "../../../../src/model/kernel/ipset.ts";
import type { SetQuestion } from "../../../../src/model/kernel/set-question.ts";
import { proxyRules } from "../../../../src/node/rules/proxy-rules.ts";
import { type ServiceSpec, type SliceSpec, service, slice } from "../../../support/objects/builders.ts";
import { address, facts } from "../../../support/objects/desired.ts";

const POD = "10.244.1.5";

/** The rules of the agent as iptables-save -c prints them, with foreign rules ahead of or behind its own. */
function saved(
  foreign: Readonly<Record<string, { readonly first?: string[]; readonly last?: string[]; readonly policy?: string }>>,
) {
  const rules = proxyRules({
    ...{ family: "IPv4", masqueradeBit: 14, masqueradeAll: false, pods: "-s 10.244.0.0/16" },
    ...{ vipBinding: "address", localMarkMask: 0x107f },
    ...{ dropInvalid: true, randomFully: true },
  });
  return rules.tables
    .map(({ name, chains, jumps }) => {
      const builtIn = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
      const of = (chain: string) => foreign[`${name} ${chain}`] ?? {};
      const line = (chain: string) => (rule: string) => `[7:420] -A ${chain} ${rule}`;
      return [
        `*${name}`,
        ...builtIn.map((chain) => `:${chain} ${of(chain).policy ?? "ACCEPT"} [0:0]`),
        ...chains.map((chain) => `:${chain.name} - [0:0]`),
        ...builtIn.flatMap((chain) => (of(chain).first ?? []).map(line(chain))),
        ...jumps
          .filter(({ place }) => place !== "last")
          .toReversed()
          .map(({ from, rule }) => line(from)(rule)),
        ...builtIn.flatMap((chain) => (of(chain).last ?? []).map(line(chain))),
        ...jumps.filter(({ place }) => place === "last").map(({ from, rule }) => line(from)(rule)),
        ...chains.flatMap((chain) => chain.rules.map(line(chain.name))),
        "COMMIT",
      ].join("\n");
    })
    .join("\n");
}

/** What other programs have. */
interface Others {
  readonly isInForeign: (question: SetQuestion) => boolean | undefined;
  readonly foreignTables: readonly ForeignTable[];
}

function traced(
  start: Partial<Omit<TraceStart, "source" | "destination">> & {
    readonly source?: string;
    readonly destination?: string;
  },
  said: ServiceSpec,
  endpoints: SliceSpec["endpoints"] = [{ ip: POD, node: "n1" }],
  foreign: Parameters<typeof saved>[0] = {},
  { isInForeign = () => undefined, foreignTables = [] }: Partial<Others> = {},
) {
  const state = new DesiredStateBuilder(facts());
  state.apply({ kind: "slice-upserted", slice: slice("shop/web-1", { endpoints: endpoints ?? [] }) });
  state.apply({ kind: "service-upserted", service: service("shop/web", said) });
  state.advance(Number.POSITIVE_INFINITY);
  const { desired } = state;
  const sets = new Map<string, SetEntry[]>(FAMILIES.flatMap(ipsets).map(({ name }) => [name, []]));
  for (const entry of desired.entries()) sets.get(entry.set.name)?.push(entry);
  const bound = new Set(desired.addresses());
  const trace = tracePacket(
    {
      ...{ from: "elsewhere", port: 80, protocol: "TCP", ...start },
      source: address(start.source ?? "10.244.2.2"),
      destination: address(start.destination ?? "10.96.0.10"),
    },
    {
      rules: [parseRuleset(saved(foreign))],
      sets: { members: sets, isInForeign },
      foreignTables,
      servers: new Map(Array.from(desired.servers(), (server) => [server.server.key, server])),
      isLocal: (one) => bound.has(one) || one === "192.168.1.10",
      routeTo: (one) => (one.startsWith("10.244.1.") ? { device: "pod0" } : { device: "eth0" }),
    },
  );
  return { end: trace.end, outcome: trace.outcome, text: traceText(trace) };
}

const NODE_PORT: ServiceSpec = { ports: [{ port: 80, nodePort: 30_080 }] };
const BALANCED: ServiceSpec = { loadBalancerIPs: ["203.0.113.9"], sourceRanges: ["192.0.2.0/24"] };
const THERE = [{ ip: "10.244.9.9", node: "n9" }];

describe("a packet ends", () => {
  test.each<[string, Parameters<typeof traced>, string]>([
    ["at the endpoint", [{}, {}], `delivered to ${POD}:8080 by pod0`],
    [
      "at the endpoint from a process of the node",
      [{ from: "node", source: "10.96.0.10" }, {}],
      `delivered to ${POD}:8080 by pod0`,
    ],
    [
      "at a NodePort's endpoint from outside",
      [{ source: "198.51.100.1", destination: "192.168.1.10", port: 30_080 }, NODE_PORT],
      `delivered to ${POD}:8080 by pod0`,
    ],
    [
      "refused without endpoints",
      [{}, {}, []],
      "refused by IPVS: virtual server TCP/10.96.0.10:80: it has no real servers",
    ],
    [
      "dropped by policy Local, from outside",
      [
        { source: "198.51.100.1", destination: "192.168.1.10", port: 30_080 },
        { ...NODE_PORT, external: "Local" },
        THERE,
      ],
      'dropped by rule 5 of filter/KUBE-PROXY-FIREWALL "-m set --match-set KUBE-DROP-EXTERNAL dst,dst -j DROP" (7 packets)',
    ],
    [
      "delivered under policy Local, from a pod",
      [{ destination: "192.168.1.10", port: 30_080 }, { ...NODE_PORT, external: "Local" }, THERE],
      "delivered to 10.244.9.9:8080 by eth0",
    ],
    [
      "dropped by source ranges",
      [{ source: "198.51.100.1", destination: "203.0.113.9" }, BALANCED],
      'dropped by rule 3 of filter/KUBE-SOURCE-RANGES-FIREWALL "-j DROP" (7 packets)',
    ],
    [
      "delivered within source ranges",
      [{ source: "192.0.2.1", destination: "203.0.113.9" }, BALANCED],
      `delivered to ${POD}:8080 by pod0`,
    ],
    [
      "refused at another port of a VIP",
      [{ port: 22 }, {}],
      'refused by rule 8 of filter/KUBE-IPVS-FILTER "-m conntrack --ctstate NEW -m set --match-set KUBE-IPVS-IPS dst -j REJECT --reject-with icmp-port-unreachable" (7 packets)',
    ],
    [
      "dropped by a foreign rule in INPUT",
      [{}, {}, undefined, { "filter INPUT": { last: ["-p tcp -m tcp --dport 80 -j DROP"] } }],
      'dropped by rule 4 of filter/INPUT "-p tcp -m tcp --dport 80 -j DROP" (7 packets)',
    ],
    [
      "with its answer dropped by a foreign rule in FORWARD",
      [{}, {}, undefined, { "filter FORWARD": { first: [`-s ${POD}/32 -j DROP`] } }],
      `the answer is dropped by rule 1 of filter/FORWARD "-s ${POD}/32 -j DROP" (7 packets)`,
    ],
    [
      "delivered where INPUT drops by policy",
      [{}, {}, undefined, { "filter INPUT": { policy: "DROP" } }],
      `delivered to ${POD}:8080 by pod0`,
    ],
    [
      "dropped by a policy, for a port of the node that is no Service",
      [{ destination: "192.168.1.10", port: 22 }, {}, undefined, { "filter INPUT": { policy: "DROP" } }],
      "dropped by the policy DROP of filter/INPUT",
    ],
  ])("%s", (_title, args, end) => {
    expect(traced(...args).end).toBe(end);
  });
});

test("the steps stand in the order of the hooks, with what each rule did", () => {
  const { text } = traced({ source: "198.51.100.1", destination: "192.168.1.10", port: 30_080 }, NODE_PORT);
  const steps = [
    "nat PREROUTING",
    "mark 0x4000 set by",
    "IPVS",
    "virtual server TCP/192.168.1.10:30080 (rr) selects",
    "nat POSTROUTING",
    "source address replaced by",
    "answer: filter FORWARD",
  ];
  const places = steps.map((step) => text.indexOf(step));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(places).not.toContain(-1);
});

test("a foreign match that is not known is named and passed over", () => {
  const { text, outcome } = traced({}, {}, undefined, {
    "filter INPUT": { last: ["-m recent --update --seconds 60 -j DROP"] },
  });
  expect(outcome).toBe("delivered");
  expect(text).toContain(
    '"-m recent --update --seconds 60 -j DROP" (7 packets) may match: "-m recent" is not evaluated, the rule is passed over',
  );
});

const BY_SET = { "filter INPUT": { last: ["-m set --match-set blocked src,dst -j DROP"] } };

test.each<[string, boolean | undefined, string]>([
  ["is in the set", true, 'dropped by rule 4 of filter/INPUT "-m set --match-set blocked src,dst -j DROP" (7 packets)'],
  ["is not in the set", false, `delivered to ${POD}:8080 by pod0`],
  ["is in a set that the kernel cannot test", undefined, `delivered to ${POD}:8080 by pod0`],
])("a packet that %s of another program", (_what, isIn, end) => {
  const asked: SetQuestion[] = [];
  const isInForeign = (question: SetQuestion) => {
    asked.push(question);
    return isIn;
  };
  const found = traced({}, {}, undefined, BY_SET, { isInForeign });
  expect(found.end).toBe(end);
  expect(asked[0]).toEqual({
    set: "blocked",
    ends: [
      { address: "10.244.2.2", port: 40_000 },
      { address: "10.96.0.10", port: 80 },
    ],
    protocol: "TCP",
  });
  expect(found.text.includes("is not evaluated")).toBe(isIn === undefined);
});

test("tables of nftables that see the packet are named, with the command that shows them", () => {
  const foreignTables = [
    { name: "inet firewalld", hooks: ["forward (policy drop)", "input"] },
    { name: "ip6 other", hooks: ["input"] },
  ];
  expect(traced({}, {}, undefined, {}, { foreignTables }).text).toMatch(
    /\nnot followed: nftables table "inet firewalld" of another program has rules at forward \(policy drop\), input, and may drop the packet all the same. See: nft list table inet firewalld\ndelivered to /,
  );
});
