import { describe, expect, test } from "vitest";
import { differences, type Ours, renderDifferences } from "../../../../src/commands/dry-run/differences.ts";
import { type NodePlan, renderPlanJson, renderPlanText, renderRules } from "../../../../src/commands/dry-run/plan.ts";
import { createLine, realLine, serverLine, stateLines } from "../../../../src/commands/dry-run/plan-lines.ts";
import { DesiredState } from "../../../../src/desired/desired-state.ts";
import type { Observed } from "../../../../src/kernel/kernel.ts";
import { manifestPart, problemObject } from "../../../../src/model/cluster/problem.ts";
import { serviceName } from "../../../../src/model/cluster/service.ts";
import { ipset, ipsets } from "../../../../src/model/kernel/ipset.ts";
import { markedServer, type RealServer, type VirtualServer, virtualServer } from "../../../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../../../src/model/kernel/real-servers.ts";
import type { Rules } from "../../../../src/model/kernel/rules.ts";
import type { ServerState } from "../../../../src/model/kernel/server-state.ts";
import type { ServiceSpec, SliceSpec } from "../../../support/objects/builders.ts";
import { address, built, facts, realServer } from "../../../support/objects/desired.ts";

type Given = Readonly<Record<string, readonly [ServiceSpec, Record<string, SliceSpec>?]>>;

function desiredOf(given: Given): DesiredState {
  const desired = new DesiredState();
  for (const [name, [spec, slices]] of Object.entries(given)) {
    desired.replace(serviceName("shop", name), built(`shop/${name}`, spec, slices));
  }
  return desired;
}

const RULES: Rules = {
  tables: [
    {
      name: "nat",
      chains: [
        { name: "KUBE-SERVICES", rules: ["-s 127.0.0.0/8 -j RETURN", "-j KUBE-MARK-MASQ"] },
        { name: "KUBE-MARK-MASQ", rules: [] },
      ],
      jumps: [{ from: "OUTPUT", rule: "-j KUBE-SERVICES" }],
    },
    { name: "filter", chains: [{ name: "KUBE-FORWARD", rules: ["-j ACCEPT"] }], jumps: [] },
  ],
};

const RULES_TEXT = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A KUBE-SERVICES -s 127.0.0.0/8 -j RETURN
-A KUBE-SERVICES -j KUBE-MARK-MASQ
-I OUTPUT -j KUBE-SERVICES
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A KUBE-FORWARD -j ACCEPT
COMMIT
`;

const WEB: Given = {
  web: [
    { affinity: 600 },
    {
      "shop/web-1": {
        endpoints: [
          { ip: "10.244.2.5", node: "n2" },
          { ip: "10.244.1.5", node: "n1" },
        ],
      },
    },
  ],
};

const SHOP: Given = {
  ...WEB,
  dns: [
    { ip: "fd00::a", ports: [{ port: 53, protocol: "UDP" }] },
    { "shop/dns-1": { ports: [{ port: 5353, protocol: "UDP" }], endpoints: [{ ip: "fd01::5", node: "n2" }] } },
  ],
};

function plan(given: Given): NodePlan {
  return {
    node: "n1",
    families: ["IPv4"],
    desired: desiredOf(given),
    rules: { IPv4: RULES },
    rejected: [
      {
        object: problemObject("Service", "shop/b"),
        field: "spec.ports[1].port",
        value: "99999",
        reason: "must be a port",
      },
      { object: manifestPart("file a.yaml"), field: "", value: "x: [", reason: "is not YAML" },
    ],
  };
}

test("rules are printed as text for iptables-restore", () => {
  expect(renderRules(RULES)).toBe(RULES_TEXT);
});

describe("plan", () => {
  test("text has a section for each tool", () => {
    expect(renderPlanText(plan(SHOP))).toBe(`# node n1

# virtual servers (ipvsadm -R)
# shop/web
-A -t 10.96.0.10:80 -s rr -p 600
-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 1
-a -t 10.96.0.10:80 -r 10.244.2.5:8080 -m -w 1
# shop/dns
-A -u [fd00::a]:53 -s rr
-a -u [fd00::a]:53 -r [fd01::5]:5353 -m -w 1

# addresses (ip -batch)
# shop/web
address add 10.96.0.10/32 dev kube-ipvs0
# shop/dns
address add fd00::a/128 dev kube-ipvs0

# sets (ipset restore)
create KUBE-LOOP-BACK hash:ip,port,ip family inet hashsize 1024 maxelem 65536
# shop/web
add KUBE-LOOP-BACK 10.244.1.5,tcp:8080,10.244.1.5
create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536
# shop/web
add KUBE-CLUSTER-IP 10.96.0.10,tcp:80
create KUBE-EXTERNAL-IP hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-EXTERNAL-IP-LOCAL hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-LOAD-BALANCER hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-LOAD-BALANCER-LOCAL hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-LOAD-BALANCER-FW hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-LOAD-BALANCER-SOURCE-CIDR hash:ip,port,net family inet hashsize 1024 maxelem 65536
create KUBE-LOAD-BALANCER-SOURCE-IP hash:ip,port,ip family inet hashsize 1024 maxelem 65536
create KUBE-NODE-PORT-TCP bitmap:port range 0-65535
create KUBE-NODE-PORT-LOCAL-TCP bitmap:port range 0-65535
create KUBE-NODE-PORT-UDP bitmap:port range 0-65535
create KUBE-NODE-PORT-LOCAL-UDP bitmap:port range 0-65535
create KUBE-NODE-PORT-SCTP-HASH hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-NODE-PORT-LOCAL-SCTP-HASH hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-HEALTH-CHECK-NODE-PORT bitmap:port range 0-65535
create KUBE-IPVS-IPS hash:ip family inet hashsize 1024 maxelem 65536
# shop/web
add KUBE-IPVS-IPS 10.96.0.10
create KUBE-NODE-PORT-IPS hash:ip family inet hashsize 1024 maxelem 65536
create KUBE-SERVICE-CIDR hash:net family inet hashsize 1024 maxelem 65536
create KUBE-DROP hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-DROP-EXTERNAL hash:ip,port family inet hashsize 1024 maxelem 65536
create KUBE-LOCAL-MARK hash:ip,port family inet hashsize 1024 maxelem 65536 skbinfo
create KUBE-LOCAL-MARK-SERVERS bitmap:port range 0-65535

# rules of IPv4 (iptables-restore --noflush)
${RULES_TEXT}
# rules of IPv6 (ip6tables-restore --noflush)

# rejected
# Service shop/b spec.ports[1].port: "99999" must be a port
# file a.yaml: "x: [" is not YAML
`);
  });

  test("a Service is named once for lines in a row, and what several Services have is the node's", () => {
    const slice = (name: string) => ({ [`shop/${name}-1`]: { endpoints: [{ ip: "10.244.1.5", node: "n1" }] } });
    const text = renderPlanText(
      plan({
        a: [
          {
            ip: "10.96.0.1",
            ports: [
              { port: 80, nodePort: 30_080 },
              { name: "two", port: 81 },
            ],
          },
          slice("a"),
        ],
        b: [{ ip: "10.96.0.2" }, slice("b")],
      }),
    );
    expect(text).toContain(
      "# shop/a\nadd KUBE-CLUSTER-IP 10.96.0.1,tcp:80\nadd KUBE-CLUSTER-IP 10.96.0.1,tcp:81\n# shop/b\n",
    );
    expect(text).toContain("# node\nadd KUBE-LOOP-BACK 10.244.1.5,tcp:8080,10.244.1.5\n");
    expect(text).toContain("# shop/a\nadd KUBE-NODE-PORT-TCP 30080\n");
  });

  test("json has the same content", () => {
    expect(JSON.parse(renderPlanJson(plan(WEB)))).toEqual({
      node: "n1",
      virtualServers: [
        {
          protocol: "TCP",
          address: "10.96.0.10",
          port: 80,
          scheduler: "rr",
          flags: [],
          persistenceSeconds: 600,
          service: "shop/web",
          realServers: [
            { address: "10.244.1.5", port: 8080, weight: 1, forwarding: "masquerade" },
            { address: "10.244.2.5", port: 8080, weight: 1, forwarding: "masquerade" },
          ],
        },
      ],
      addresses: ["10.96.0.10"],
      sets: {
        ...Object.fromEntries(ipsets("IPv4").map(({ name }) => [name, []])),
        "KUBE-LOOP-BACK": ["10.244.1.5,tcp:8080,10.244.1.5"],
        "KUBE-CLUSTER-IP": ["10.96.0.10,tcp:80"],
        "KUBE-IPVS-IPS": ["10.96.0.10"],
      },
      rules: { ipv4: RULES_TEXT, ipv6: "" },
      rejected: [
        { object: "Service shop/b", field: "spec.ports[1].port", value: "99999", reason: "must be a port" },
        { object: "file a.yaml", field: "", value: "x: [", reason: "is not YAML" },
      ],
    });
  });

  test.each([renderPlanText, renderPlanJson])(
    "the output does not depend on the order of Services and problems: %o",
    (render) => {
      const one = plan(SHOP);
      const other = plan(Object.fromEntries(Object.entries(SHOP).reverse()));
      expect(render({ ...other, rejected: [...other.rejected].reverse() })).toBe(render(one));
    },
  );
});

describe("lines of ipvsadm", () => {
  const vip = address("10.96.0.1");
  const rr = virtualServer("TCP", vip, 80, { scheduler: facts().scheduler });
  const servers: readonly (readonly [Partial<VirtualServer>, string])[] = [
    [{}, "-A -t 10.96.0.1:80 -s rr"],
    [{ protocol: "SCTP" }, "-A --sctp-service 10.96.0.1:80 -s rr"],
    [{ persistenceSeconds: 10 }, "-A -t 10.96.0.1:80 -s rr -p 10"],
    [{ persistenceSeconds: 10, persistencePrefix: 22 }, "-A -t 10.96.0.1:80 -s rr -p 10 -M 255.255.252.0"],
    [
      { persistenceSeconds: 10, address: address("fd00::1"), persistencePrefix: 64 },
      "-A -t [fd00::1]:80 -s rr -p 10 -M 64",
    ],
    [{ persistencePrefix: 24 }, "-A -t 10.96.0.1:80 -s rr"],
    [{ flags: ["mh-fallback", "mh-port"] }, "-A -t 10.96.0.1:80 -s rr -b mh-fallback,mh-port"],
    [{ protocol: "UDP", flags: ["flag-1", "one-packet"] }, "-A -u 10.96.0.1:80 -s rr -o -b flag-1"],
  ];
  test.each(servers)("%j: %s", (said, expected) => {
    expect(serverLine({ ...rr, ...said })).toBe(expected);
  });

  test.each([
    ["IPv4", "-A -f 7 -s rr", "-a -f 7 -r 10.244.1.5:8080 -m -w 1"],
    ["IPv6", "-A -f 7 -6 -s rr", "-a -f 7 -6 -r 10.244.1.5:8080 -m -w 1"],
  ] as const)("by firewall mark, of %s: %s", (family, server, real) => {
    const marked = markedServer(family, 7, "UDP", { scheduler: facts().scheduler });
    expect(serverLine(marked)).toBe(server);
    expect(realLine(marked, realServer(address("10.244.1.5"), 8080))).toBe(real);
  });

  const reals: readonly (readonly [Partial<RealServer>, string])[] = [
    [{}, "-a -t 10.96.0.1:80 -r 10.244.1.5:8080 -m -w 1"],
    [{ weight: 0, forwarding: "direct" }, "-a -t 10.96.0.1:80 -r 10.244.1.5:8080 -g -w 0"],
    [{ forwarding: "tunnel" }, "-a -t 10.96.0.1:80 -r 10.244.1.5:8080 -i -w 1"],
  ];
  test.each(reals)("%j: %s", (said, expected) => {
    expect(realLine(rr, { ...realServer(address("10.244.1.5"), 8080), ...said })).toBe(expected);
  });

  test("a virtual server comes before its real servers, and those in order", () => {
    const [nine, eighty] = [9, 80].map((port) => realServer(address("10.244.1.5"), port));
    const reals = RealServers.of([nine, eighty].filter((real) => real !== undefined));
    expect(stateLines({ server: rr, reals })).toEqual([
      "-A -t 10.96.0.1:80 -s rr",
      "-a -t 10.96.0.1:80 -r 10.244.1.5:80 -m -w 1",
      "-a -t 10.96.0.1:80 -r 10.244.1.5:9 -m -w 1",
    ]);
  });

  const sizes = [
    [0, 65_536],
    [65_536, 65_536],
    [65_537, 131_072],
    [200_000, 262_144],
  ] as const;
  test.each(sizes)("a set of %i members is made for %i", (members, maxelem) => {
    expect(createLine(ipset("KUBE-IPVS-IPS", "IPv6"), members)).toBe(
      `create KUBE-6-IPVS-IPS hash:ip family inet6 hashsize 1024 maxelem ${maxelem}`,
    );
  });
});

describe("diff", () => {
  const OTHER: Given = {
    other: [{ ip: "10.96.0.99" }, { "shop/other-1": { endpoints: [{ ip: "10.244.9.9", node: "n2" }] } }],
  };
  const everything: Ours = { server: () => true, address: () => true, entry: () => true, drains: () => false };
  const nothing: Ours = { server: () => false, address: () => false, entry: () => false, drains: () => false };

  function seen(given: Given, change: (state: ServerState) => ServerState = (state) => state): Observed {
    const desired = desiredOf(given);
    return {
      servers: new Map([...desired.servers()].map((state) => [state.server.key, change(state)])),
      unnamedServers: 0,
      addresses: new Set(desired.addresses()),
      entries: new Map([...desired.entries()].map((entry) => [entry.key, entry])),
    };
  }
  const reals = (change: (real: RealServer) => RealServer | undefined) => (state: ServerState) => ({
    ...state,
    reals: RealServers.of(state.reals.list().flatMap((real) => change(real) ?? [])),
  });
  const otherThan = (text: string) => (real: RealServer) => (real.address === text ? undefined : real);
  const OTHER_LINES = [
    "-A -t 10.96.0.99:80 -s rr",
    "-a -t 10.96.0.99:80 -r 10.244.9.9:8080 -m -w 1",
    "add KUBE-CLUSTER-IP 10.96.0.99,tcp:80",
    "add KUBE-IPVS-IPS 10.96.0.99",
    "address add 10.96.0.99/32 dev kube-ipvs0",
  ];

  const rows: readonly (readonly [string, Given, Observed, Ours, readonly string[]])[] = [
    ["equal", WEB, seen(WEB), everything, []],
    ["missing", { ...WEB, ...OTHER }, seen(WEB), everything, OTHER_LINES.map((line) => `+ ${line}`)],
    ["unwanted", WEB, seen({ ...WEB, ...OTHER }), everything, OTHER_LINES.map((line) => `- ${line}`)],
    ["others' is no difference", WEB, seen({ ...WEB, ...OTHER }), nothing, []],
    [
      "another weight",
      OTHER,
      seen(
        OTHER,
        reals((real) => ({ ...real, weight: 0 })),
      ),
      everything,
      ["~ -a -t 10.96.0.99:80 -r 10.244.9.9:8080 -m -w 1 # is -a -t 10.96.0.99:80 -r 10.244.9.9:8080 -m -w 0"],
    ],
    [
      "another timeout",
      WEB,
      seen(WEB, (state) => ({ ...state, server: { ...state.server, persistenceSeconds: 5 } })),
      everything,
      ["~ -A -t 10.96.0.10:80 -s rr -p 600 # is -A -t 10.96.0.10:80 -s rr -p 5"],
    ],
    [
      "a missing real server",
      WEB,
      seen(WEB, reals(otherThan("10.244.2.5"))),
      everything,
      ["+ -a -t 10.96.0.10:80 -r 10.244.2.5:8080 -m -w 1"],
    ],
    [
      "a real server of a desired virtual server that is not desired, from any program",
      { web: [{ affinity: 600 }, { "shop/web-1": { endpoints: [{ ip: "10.244.1.5", node: "n1" }] } }] },
      seen(WEB),
      nothing,
      ["- -a -t 10.96.0.10:80 -r 10.244.2.5:8080 -m -w 1"],
    ],
  ];
  test.each(rows)("%s", (_, desired, observed, ours, expected) => {
    expect(differences(desiredOf(desired), observed, ours).map(({ line }) => line)).toEqual(expected);
  });

  const draining: Ours = { ...everything, drains: (_, { weight }) => weight === 0 };

  test("a real server that drains is no difference, and one that only should drain is", () => {
    const one = {
      web: [{ affinity: 600 }, { "shop/web-1": { endpoints: [{ ip: "10.244.1.5", node: "n1" }] } }],
    } as Given;
    const drained = reals((real) => (real.address === "10.244.2.5" ? { ...real, weight: 0 } : real));
    expect(differences(desiredOf(one), seen(WEB, drained), draining)).toEqual([]);
    expect(differences(desiredOf(one), seen(WEB), draining)).toHaveLength(1);
  });

  test("a removed Service that drains is no difference, with its address and its members", () => {
    const drained = (state: ServerState) =>
      state.server.address === "10.96.0.99" ? reals((real) => ({ ...real, weight: 0 }))(state) : state;
    expect(differences(desiredOf(WEB), seen({ ...WEB, ...OTHER }, drained), draining)).toEqual([]);
  });

  test("differences are printed below the name of their Service, and those of no Service below the node", () => {
    const found = differences(desiredOf({ ...WEB, ...OTHER }), seen(WEB), everything);
    const text = renderDifferences([...found, { line: "~ the rules differ", service: undefined }]);
    expect(text).toBe(
      ["# shop/other", ...OTHER_LINES.map((line) => `+ ${line}`), "", "# node", "~ the rules differ", ""].join("\n"),
    );
    expect(renderDifferences([])).toBe("");
  });
});
