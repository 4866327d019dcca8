import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { AgentProcess, ManifestFolder, type Metrics, sumOf } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { heldLines, heldRules } from "../../support/node/witness.ts";
import { type PortSpec, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { LongClient } from "../../support/traffic/client.ts";

/** How the kernel follows changes of the cluster, and changes by other programs. Pods a, b and c serve; d is a client. */
let node: TestNode;
let manifests: ManifestFolder;

beforeAll(async () => {
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "b", "c", "d"] });
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

interface Said {
  readonly ip: string;
  readonly pods: readonly string[];
  readonly port?: PortSpec;
  readonly target?: PortSpec;
}

/** Writes a Service with these endpoints to its own file. */
function put(name: string, { ip, pods, port = 80, target = 8080 }: Said): Promise<void> {
  return manifests.put(`${name}.json`, [
    serviceObject(`shop/${name}`, { ip, ports: [port] }),
    sliceObject(`shop/${name}-1`, { ports: [target], endpoints: pods.map((pod) => node.pod(pod).ip) }),
  ]);
}

const client = () => node.client(node.pod("d"));
const hold = (ip: string) => LongClient.hold(node.pod("d").namespace, ip, 80);
const servers = () => node.prints("ipvsadm -Sn");

/** Retries until it holds. */
const soon = (claim: () => Promise<void>) => eventually(claim, { withinMs: 40_000, everyMs: 100 });

/** The pods that answer new connections. */
async function answering(ip: string): Promise<readonly string[]> {
  return Object.keys((await client().tcp(ip, 80, 6)).answers).sort();
}

/** Operations by kind and result, without searches for stale flows. */
function operations(metrics: Metrics): Readonly<Record<string, number>> {
  const done = [...metrics].flatMap(([name, count]) => {
    const [, kind, result] = /^kube_ipvs_operations_total\{operation="([^"]+)",result="([^"]+)"\}$/.exec(name) ?? [];
    return kind === undefined || kind === "forget-flows" || count === 0 ? [] : [[`${kind} ${result}`, count]];
  });
  return Object.fromEntries(done);
}

function since(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>): unknown {
  const changes = Object.entries(now).map(([kind, count]) => [kind, count - (before[kind] ?? 0)]);
  return Object.fromEntries(changes.filter(([, change]) => change !== 0));
}

describe("an agent that is restarted", () => {
  test("finds the desired state and writes nothing, and connections continue", async () => {
    await put("calm", { ip: "10.96.1.1", pods: ["a", "b"] });
    const before = AgentProcess.start(node, manifests);
    await before.ready();
    const held = await hold("10.96.1.1");
    const lines = await heldLines(node.shell);
    expect(lines).toContain("-A -t 10.96.1.1:80 -s rr");
    await before.kill();

    const after = AgentProcess.start(node, manifests);
    onTestFinished(() => after[Symbol.asyncDispose]());
    await after.ready();
    expect(operations(await after.metrics())).toEqual({});
    expect(await heldLines(node.shell)).toEqual(lines);
    // SIGTERM ends the agent in order, and the kernel still serves.
    await after[Symbol.asyncDispose]();
    expect(after.log).toContain("kube-ipvs stopped");
    expect(await heldLines(node.shell)).toEqual(lines);
    expect((await held.stop()).errors).toEqual({});
  });
});

describe("a change", () => {
  let agent: AgentProcess;

  beforeAll(async () => {
    agent = AgentProcess.start(node, manifests);
    await agent.ready();
  });

  afterAll(async () => {
    await agent?.[Symbol.asyncDispose]();
  });

  test("of endpoints is followed by traffic and causes operations for that Service alone", async () => {
    await put("web", { ip: "10.96.1.2", pods: ["a"] });
    await soon(async () => expect(await answering("10.96.1.2")).toEqual(["a"]));
    const before = operations(await agent.metrics());
    await put("web", { ip: "10.96.1.2", pods: ["a", "b"] });
    await soon(async () => expect(await answering("10.96.1.2")).toEqual(["a", "b"]));
    expect(since(before, operations(await agent.metrics()))).toEqual({ "add-real-server ok": 1 });
    await put("web", { ip: "10.96.1.2", pods: ["b"] });
    await soon(async () => expect(await answering("10.96.1.2")).toEqual(["b"]));
    expect((await client().tcp("10.96.1.2", 80, 4)).errors).toEqual({});
  });

  test("that removes an endpoint keeps its connection, and its return restores its weight in place", async () => {
    const [a, b] = [node.pod("a").ip, node.pod("b").ip];
    await put("cart", { ip: "10.96.1.3", pods: ["a"] });
    await soon(async () => expect(await answering("10.96.1.3")).toEqual(["a"]));
    const held = await hold("10.96.1.3");
    await put("cart", { ip: "10.96.1.3", pods: ["b"] });
    await soon(async () => expect(await answering("10.96.1.3")).toEqual(["b"]));
    expect(await servers()).toContain(`-a -t 10.96.1.3:80 -r ${a}:8080 -m -w 0`);

    const before = operations(await agent.metrics());
    await put("cart", { ip: "10.96.1.3", pods: ["a", "b"] });
    await soon(async () => expect(await answering("10.96.1.3")).toEqual(["a", "b"]));
    expect(since(before, operations(await agent.metrics()))).toEqual({ "update-real-server ok": 1 });
    const said = await servers();
    for (const pod of [a, b]) expect(said).toContain(`-a -t 10.96.1.3:80 -r ${pod}:8080 -m -w 1`);
    expect((await held.stop()).errors).toEqual({});
  });

  test("that deletes a Service rejects new connections and keeps the old ones", async () => {
    await put("gone", { ip: "10.96.1.4", pods: ["a"] });
    await soon(async () => expect(await answering("10.96.1.4")).toEqual(["a"]));
    const held = await hold("10.96.1.4");
    await manifests.remove("gone.json");
    await soon(async () => expect((await client().tcp("10.96.1.4", 80, 2)).errors).toEqual({ refused: 2 }));
    expect(await servers()).toContain(`-a -t 10.96.1.4:80 -r ${node.pod("a").ip}:8080 -m -w 0`);
    const { errors, count } = await held.stop();
    expect(errors).toEqual({});
    expect(count).toBeGreaterThan(2);
  });

  test("that removes the last UDP endpoint or the Service is applied at once", async () => {
    const udp = {
      ip: "10.96.1.5",
      port: { port: 53, protocol: "UDP" },
      target: { port: 5353, protocol: "UDP" },
    };
    await put("dns", { ...udp, pods: ["a", "b"] });
    const asked = async () => (await client().udp("10.96.1.5", 53, 4)).answers;
    await soon(async () => expect(await asked()).toEqual({ a: 2, b: 2 }));
    await put("dns", { ...udp, pods: ["b"] });
    await soon(async () => expect(await asked()).toEqual({ b: 4 }));
    expect(await servers()).not.toContain(`-a -u 10.96.1.5:53 -r ${node.pod("a").ip}`);
    await manifests.remove("dns.json");
    await soon(async () => expect(await servers()).not.toContain("10.96.1.5:53"));
    expect(await node.prints("ip address show dev kube-ipvs0")).not.toContain("10.96.1.5/");
  });
});

describe("a change by another program", () => {
  let agent: AgentProcess;

  beforeAll(async () => {
    await put("victim", { ip: "10.96.1.6", pods: ["a", "b"] });
    await put("second", { ip: "10.96.1.7", pods: ["a"] });
    agent = AgentProcess.start(
      node,
      manifests,
      ...["--ipvs-sync-period", "1s", "--ipvs-exclude-cidrs", "10.96.200.0/24"],
    );
    await agent.ready();
  });

  afterAll(async () => {
    await agent?.[Symbol.asyncDispose]();
  });

  const resyncs = async () => (await agent.metrics()).get("kube_ipvs_resync_duration_seconds_count") ?? 0;

  test("to foreign virtual servers and in excluded networks is left alone, and counted", async () => {
    await node.prints(
      [
        "ip address add 10.96.200.1/32 dev kube-ipvs0",
        "ipvsadm -A -t 10.96.200.1:80 -s wlc",
        `ipvsadm -a -t 10.96.200.1:80 -r ${node.pod("c").ip}:8080 -m -w 7`,
        "ipvsadm -A -t 192.0.2.1:80 -s wlc",
        "ipvsadm -A -f 7 -s rr",
      ].join("\n"),
    );
    const before = await resyncs();
    await soon(async () => expect(await resyncs()).toBeGreaterThanOrEqual(before + 2));
    await put("newcomer", { ip: "10.96.1.8", pods: ["a"] });
    await soon(async () => expect(await answering("10.96.1.8")).toEqual(["a"]));
    const said = await servers();
    for (const line of [
      "-A -t 10.96.200.1:80 -s wlc",
      `-a -t 10.96.200.1:80 -r ${node.pod("c").ip}:8080 -m -w 7`,
      "-A -t 192.0.2.1:80 -s wlc",
      "-A -f 7 -s rr",
    ])
      expect(said).toContain(line);
    expect(await node.prints("ip address show dev kube-ipvs0")).toContain("10.96.200.1/32");
    expect((await agent.metrics()).get("kube_ipvs_foreign_virtual_servers")).toBe(3);
  });

  const ruleLines = async () => [...(await heldRules(node.shell, "IPv4")), ...(await heldRules(node.shell, "IPv6"))];

  test.each<[string, () => string, RegExp]>([
    ["a virtual server is deleted", () => "ipvsadm -D -t 10.96.1.6:80", /object="virtual-server",kind="missing"/],
    ["a scheduler is changed", () => "ipvsadm -E -t 10.96.1.6:80 -s sh", /object="virtual-server",kind="different"/],
    [
      "a weight is changed",
      () => `ipvsadm -e -t 10.96.1.6:80 -r ${node.pod("a").ip}:8080 -m -w 5`,
      /object="real-server",kind="different"/,
    ],
    [
      "a real server is deleted",
      () => `ipvsadm -d -t 10.96.1.6:80 -r ${node.pod("b").ip}:8080`,
      /object="real-server",kind="missing"/,
    ],
    [
      "a virtual server is added at an address of ours",
      () => "ipvsadm -A -t 10.96.1.6:81 -s rr",
      /object="virtual-server",kind="unwanted"/,
    ],
    ["an address is deleted", () => "ip address del 10.96.1.7/32 dev kube-ipvs0", /object="address",kind="missing"/],
    ["the interface is deleted", () => "ip link del kube-ipvs0; ip link show eth0", /object="address",kind="missing"/],
    ["a set member is deleted", () => "ipset del KUBE-CLUSTER-IP 10.96.1.7,tcp:80", /object="entry",kind="missing"/],
    ["a set member is added", () => "ipset add KUBE-NODE-PORT-TCP 31000", /object="entry",kind="unwanted"/],
  ])("%s: the next resync mends and counts it", async (_, meddling, drift) => {
    const ours = async () => (await heldLines(node.shell)).filter((line) => !line.includes("10.96.200.1")).toSorted();
    // Draining servers change with time, so only the virtual servers of this describe are compared.
    const settled = (lines: readonly string[]) => lines.filter((line) => !/10\.96\.1\.[2-5]\b/.test(line));
    const before = settled(await ours());
    const counted = sumOf(await agent.metrics(), drift);
    await agent.whilePaused(async () => {
      await node.prints(meddling());
      expect(settled(await ours())).not.toEqual(before);
    });
    await soon(async () => expect(settled(await ours())).toEqual(before));
    // What a sync repairs is counted when it has ended.
    await soon(async () => expect(sumOf(await agent.metrics(), drift)).toBeGreaterThan(counted));
  });

  test.each([
    ["a chain is emptied", "iptables -t nat -F KUBE-SERVICES"],
    ["a jump is deleted", "ip6tables -t filter -D INPUT 1"],
  ])("%s: the next resync mends it", async (_, meddling) => {
    const before = await ruleLines();
    await agent.whilePaused(async () => {
      await node.prints(meddling);
      expect(await ruleLines()).not.toEqual(before);
    });
    await soon(async () => expect(await ruleLines()).toEqual(before));
  });

  test("that removes all our chains is repaired by the next resync, and NodePorts are masqueraded again", async () => {
    await manifests.put("front.json", [
      serviceObject("shop/front", { ip: "10.96.1.9", ports: [{ port: 80, nodePort: 30_019 }] }),
      sliceObject("shop/front-1", { endpoints: [node.pod("a").ip] }),
    ]);
    const seenAs = async () => Object.keys((await node.client(node.outside).tcp(node.node.ip, 30_019, 2)).clients);
    await soon(async () => expect(await seenAs()).toEqual([node.gateway.ip]));
    const before = await ruleLines();
    await agent.whilePaused(async () => {
      const without = ["nat", "filter", "mangle"].flatMap((table) =>
        ["iptables", "ip6tables"].map((tool) => `${tool}-save -t ${table} | grep -v KUBE | ${tool}-restore`),
      );
      await node.prints(without.join("\n"));
      expect(await ruleLines()).toEqual([]);
      expect(await seenAs()).toEqual([node.outside.ip]);
    });
    await soon(async () => expect(await ruleLines()).toEqual(before));
    expect(await seenAs()).toEqual([node.gateway.ip]);
  });
});
