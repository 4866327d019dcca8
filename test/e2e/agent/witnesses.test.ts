import { afterAll, beforeAll, expect, test } from "vitest";
import { AgentProcess, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { heldLines, heldRules, plannedLines, plannedRules } from "../../support/node/witness.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { PROMTOOL_FINDS } from "../../support/prometheus/promtool.ts";
import { isMissing } from "../../support/run/missing.ts";
import { patient } from "../../support/time/patience.ts";

/** ipvsadm, ip, ipset, iptables-save and conntrack are the witnesses; the commands of kube-ipvs must agree with them. */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "b"] });
  await manifests.put("all.json", objects());
  agent = AgentProcess.start(node, manifests, ...NODE_PORTS);
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const NODE_PORTS = ["--nodeport-addresses", "192.168.1.0/24,fd00:192:1::/64"];

function objects(): readonly object[] {
  const [a, b] = [node.pod("a"), node.pod("b")];
  const ports = [
    { name: "http", port: 80, nodePort: 30_080 },
    { name: "dns", port: 53, protocol: "UDP", nodePort: 30_053 },
    { name: "sig", port: 3868, protocol: "SCTP", nodePort: 30_132 },
  ];
  const targets = [
    { name: "http", port: 8080 },
    { name: "dns", port: 5353, protocol: "UDP" },
    { name: "sig", port: 3868, protocol: "SCTP" },
  ];
  return [
    serviceObject("shop/web", { ip: ["10.96.2.1", "fd00:96::2:1"], ports, affinity: 600 }),
    sliceObject("shop/web-4", { ports: targets, endpoints: [{ ip: a.ip, node: node.name }, b.ip] }),
    sliceObject("shop/web-6", { ports: targets, endpoints: [{ ip: a.ip6, node: node.name }, b.ip6] }),
    serviceObject("shop/plain", { ip: "10.96.2.2" }),
    sliceObject("shop/plain-1", { endpoints: [a.ip] }),
    serviceObject("shop/empty", { ip: "fd00:96::2:3", ports: [443] }),
  ];
}

const flags = () => [...flagsFor(node, manifests), ...NODE_PORTS];
const plan = (...more: readonly string[]) =>
  kubeIpvs(node, "plan", ...flags(), "--node-ip", `${node.node.ip},${node.node.ip6}`, ...more);

test("ipvsadm, ip and ipset print the objects of the plan", async () => {
  const { code, out } = await plan();
  expect(code).toBe(0);
  const held = (await heldLines(node.shell)).toSorted();
  expect(held).toEqual(plannedLines(out).toSorted());
  expect(held).toContain("-A -t 10.96.2.1:80 -s rr -p 600");
  expect(held).toContain("-A --sctp-service [fd00:192:1::10]:30132 -s rr -p 600");
  expect(held).toContain(`entry KUBE-LOOP-BACK ${node.pod("a").ip},tcp:8080,${node.pod("a").ip}`);
});

test.each(["IPv4", "IPv6"] as const)("iptables-save prints the rules of the plan for %s", async (family) => {
  const { out } = await plan();
  const rules = await heldRules(node.shell, family);
  expect(rules).toEqual(plannedRules(out, family));
  expect(rules.length).toBeGreaterThan(15);
});

interface PlanDocument {
  readonly node: string;
  readonly virtualServers: readonly {
    readonly protocol: string;
    readonly address: string;
    readonly port: number;
    readonly scheduler: string;
    readonly persistenceSeconds: number;
    readonly realServers: readonly { readonly address: string; readonly port: number; readonly weight: number }[];
  }[];
  readonly addresses: readonly string[];
  readonly sets: Readonly<Record<string, readonly string[]>>;
}

const OPTIONS: Readonly<Record<string, string>> = { TCP: "-t", UDP: "-u", SCTP: "--sctp-service" };

test("the plan as JSON has the same content as the plan as text", async () => {
  const document = JSON.parse((await plan("-o", "json")).out) as PlanDocument; // its documented form
  const at = (address: string, port: number) => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
  const lines = document.virtualServers.flatMap(
    ({ protocol, address, port, scheduler, persistenceSeconds, realServers }) => {
      const server = `${OPTIONS[protocol]} ${at(address, port)}`;
      const affinity = persistenceSeconds === 0 ? "" : ` -p ${persistenceSeconds}`;
      return [
        `-A ${server} -s ${scheduler}${affinity}`,
        ...realServers.map((real) => `-a ${server} -r ${at(real.address, real.port)} -m -w ${real.weight}`),
      ];
    },
  );
  const others = [
    ...document.addresses.map((address) => `address ${address}`),
    ...Object.entries(document.sets).flatMap(([set, members]) => members.map((member) => `entry ${set} ${member}`)),
  ];
  expect((await heldLines(node.shell)).toSorted()).toEqual([...lines, ...others].toSorted());
  expect(document.node).toBe(node.name);
});

test("conntrack has the flows through a ClusterIP, masqueraded if they come from the node", async () => {
  expect((await node.client(node.pod("b")).tcp("10.96.2.2", 80)).errors).toEqual({});
  expect((await node.client(node.node).tcp("10.96.2.2", 80)).errors).toEqual({});
  const flows = await node.prints("conntrack -L -p tcp --orig-dst 10.96.2.2 2>/dev/null");
  const pod = node.pod("b").ip;
  expect(flows).toMatch(new RegExp(`src=${pod} dst=10\\.96\\.2\\.2 .* src=10\\.244\\.1\\.10 dst=${pod} `));
  expect(flows).toMatch(/src=\S+ dst=10\.96\.2\.2 .* src=10\.244\.1\.10 dst=10\.244\.1\.1 /);
});

test.skipIf(isMissing("promtool"))(
  "promtool reports one name of kube-proxy in the metrics, and nothing else",
  async () => {
    const { code, out, err } = await node.node.namespace.finished(
      ["promtool", "check", "metrics"],
      await agent.metricsText(),
    );
    expect({ code, out, err }).toEqual({ ...PROMTOOL_FINDS, out: "" });
  },
);

test("an unknown flag is reported and ends with exit code 64", async () => {
  const { code, out, err } = await kubeIpvs(node, "run", "--no-such-flag", "--ipvs-scheduler", "best");
  expect({ code, out }).toEqual({ code: 64, out: "" });
  expect(err).toContain("--no-such-flag");
  expect(err).toContain('"best"');
});

test("diff prints nothing, then the changes by another program; cleanup removes all our objects and no foreign one", {
  timeout: patient(90_000),
}, async () => {
  await agent[Symbol.asyncDispose]();
  const diff = () => kubeIpvs(node, "diff", ...flags());
  expect(await diff()).toEqual({ code: 0, out: "", err: "" });

  await node.prints(
    [
      "ipvsadm -A -t 192.0.2.1:80 -s wlc",
      "ipvsadm -a -t 192.0.2.1:80 -r 192.0.2.9:80 -g -w 3",
      "ipvsadm -D -t 10.96.2.2:80",
      "ipset del KUBE-CLUSTER-IP 10.96.2.2,tcp:80",
      "ip address del fd00:96::2:3/128 dev kube-ipvs0",
      "ipset create SOMEBODY hash:ip",
      "iptables -t nat -N SOMEBODY",
      "iptables -t nat -A PREROUTING -j SOMEBODY",
    ].join("\n"),
  );
  const { code, out } = await diff();
  expect(code).toBe(2);
  expect(
    out
      .split("\n")
      .filter((line) => /^[+~-]/.test(line))
      .toSorted(),
  ).toEqual([
    "+ -A -t 10.96.2.2:80 -s rr",
    `+ -a -t 10.96.2.2:80 -r ${node.pod("a").ip}:8080 -m -w 1`,
    "+ add KUBE-CLUSTER-IP 10.96.2.2,tcp:80",
    "+ address add fd00:96::2:3/128 dev kube-ipvs0",
  ]);

  const cleanup = await kubeIpvs(node, "cleanup", ...flags());
  expect({ code: cleanup.code, err: cleanup.err }).toEqual({ code: 0, err: "" });
  expect((await node.prints("ipvsadm -Sn")).trim().split("\n")).toEqual([
    "-A -t 192.0.2.1:80 -s wlc",
    "-a -t 192.0.2.1:80 -r 192.0.2.9:80 -g -w 3",
  ]);
  const left = await node.prints("ip -o link; ipset save; iptables-save; ip6tables-save");
  expect(left).not.toMatch(/kube/i);
  expect(left).toContain("create SOMEBODY");
  expect(left).toContain("-A PREROUTING -j SOMEBODY");
});
