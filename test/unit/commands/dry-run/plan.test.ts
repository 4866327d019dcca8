import { describe, expect, test } from "vitest";
import { type NodePlan, renderPlanJson, renderPlanText, renderRules } from "../../../../src/commands/dry-run/plan.ts";
import { manifestPart, problemObject } from "../../../../src/model/cluster/problem.ts";
import { ipsets } from "../../../../src/model/kernel/ipset.ts";
import type { Rules } from "../../../../src/model/kernel/rules.ts";
import { desiredOf, type Given, WEB } from "../../../support/objects/desired-shop.ts";

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
    binding: "address",
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

  test("VIPs that are bound by routes are local routes with the number of the agent", () => {
    const routed = { ...plan(SHOP), binding: "route" as const };
    const lines = renderPlanText(routed).split("\n");
    expect(lines.filter((line) => /^(address|route) /.test(line))).toEqual([
      "route add local 10.96.0.10/32 dev lo table local proto 173 metric 173",
      "route add local fd00::a/128 dev lo table local proto 173 metric 173",
    ]);
    expect(JSON.parse(renderPlanJson(routed))).toMatchObject({
      vipBinding: "route",
      addresses: ["10.96.0.10", "fd00::a"],
    });
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
      vipBinding: "address",
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
