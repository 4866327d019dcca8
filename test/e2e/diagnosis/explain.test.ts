import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE_FLAGS } from "../../../build.ts";
import { AgentProcess, askAgent, flagsFor, kubeIpvs, ManifestFolder } from "../../support/node/agent-process.ts";
import { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { BUNDLE } from "../../support/run/bundle.ts";
import { eventually } from "../../support/time/eventually.ts";

/**
 * Services that do not answer, each for another reason: `explain` names the cause. The running agent is asked by curl at its
 * socket, and by the command, whose start takes longer.
 */
let node: TestNode;
let manifests: ManifestFolder;

beforeAll(async () => {
  node = await TestNode.create({ pods: ["a", "silent"] });
  await node.silence(node.pod("silent"));
  manifests = await ManifestFolder.create();
  const here = { ip: node.pod("a").ip, node: node.name };
  const closed = { ip: node.pod("silent").ip, node: node.name };
  const there = { ip: "10.244.9.9", node: "node-9" };
  const objects = [
    serviceObject("shop/ok", { ip: "10.96.0.1" }),
    sliceObject("shop/ok-1", { endpoints: [here] }),
    serviceObject("shop/none", { ip: "10.96.0.2" }),
    serviceObject("shop/unready", { ip: "10.96.0.3" }),
    sliceObject("shop/unready-1", { endpoints: [{ ...here, ready: false }] }),
    serviceObject("shop/local", { ip: "10.96.0.4", external: "Local", ports: [{ port: 80, nodePort: 30_004 }] }),
    sliceObject("shop/local-1", { endpoints: [there] }),
    serviceObject("shop/ranges", { ip: "10.96.0.5", loadBalancerIPs: ["203.0.113.5"], sourceRanges: ["192.0.2.0/24"] }),
    sliceObject("shop/ranges-1", { endpoints: [here] }),
    serviceObject("shop/refused", { ip: "10.96.0.6", externalIPs: [node.node.ip] }),
    sliceObject("shop/refused-1", { endpoints: [here] }),
    serviceObject("shop/second", { ip: "10.96.0.7", externalIPs: ["198.51.100.7"] }),
    sliceObject("shop/second-1", { endpoints: [here] }),
    serviceObject("shop/first", { ip: "10.96.0.8", externalIPs: ["198.51.100.7"] }),
    sliceObject("shop/first-1", { endpoints: [here] }),
    serviceObject("shop/scheduler", { ip: "10.96.0.9", annotations: { "kube-ipvs.io/scheduler": "ovf" } }),
    sliceObject("shop/scheduler-1", { endpoints: [here] }),
    serviceObject("shop/closed", { ip: "10.96.0.10" }),
    sliceObject("shop/closed-1", { endpoints: [closed] }),
  ];
  await manifests.put("shop.json", objects);
});

afterAll(async () => {
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const explained = (service: string) => askAgent(node, `/state/shop/${service}`);

describe("a running agent", () => {
  let agent: AgentProcess;

  beforeAll(async () => {
    agent = AgentProcess.start(node, manifests, "--status-page");
    await agent.ready();
  });

  afterAll(async () => {
    await agent?.[Symbol.asyncDispose]();
  });

  test.each([
    ["ok", "ok: nothing is wrong on this node"],
    ["none", "error: port 80/TCP has no endpoints, because no EndpointSlice of the Service lists an endpoint"],
    ["unready", "error: port 80/TCP has 1 endpoint and none is ready: connections are refused"],
    [
      "local",
      "error: externalTrafficPolicy is Local and no endpoint of port 80/TCP is on this node: connections from outside that arrive at this node are dropped",
    ],
    ["ranges", "only clients in 192.0.2.0/24 may use it (spec.loadBalancerSourceRanges): all others are dropped"],
    ["refused", 'error: Service shop/refused: spec.externalIPs "192.168.1.10" is an address of'],
    ["second", 'error: Service shop/second: "TCP/198.51.100.7:80" is already served by Service shop/first'],
    ["absent", 'error: this node does not proxy a Service "shop/absent"'],
  ])("explains %s", async (service, sentence) => {
    expect(await explained(service)).toContain(sentence);
  });

  test("names the scheduler whose module is missing, or uses it", async () => {
    const isLoaded = (await node.prints("grep -c '^ip_vs_ovf ' /proc/modules || true")).trim() !== "0";
    await eventually(
      async () =>
        expect(await explained("scheduler")).toContain(
          isLoaded
            ? "scheduler ovf"
            : 'metadata.annotations "ovf" is not available as IPVS scheduler in this kernel: rr is used instead; to load it, run on the host: modprobe ip_vs_ovf',
        ),
      { withinMs: 40_000, everyMs: 200 },
    );
  });

  test("names a weight that somebody set to 0, until it is repaired", async () => {
    await node.prints(`ipvsadm -e -t 10.96.0.1:80 -r ${node.pod("a").ip}:8080 -m -w 0`);
    expect(await explained("ok")).toContain(
      `error: real server ${node.pod("a").ip}:8080 of TCP/10.96.0.1:80 has weight 0 in the kernel and should have 1: it gets no new connections`,
    );
    await node.prints(`ipvsadm -e -t 10.96.0.1:80 -r ${node.pod("a").ip}:8080 -m -w 1`);
  });

  test("names a ready pod that does not listen after one connection was tried", async () => {
    await node.client(node.node).tcp("10.96.0.10", 80, 2);
    // The kernel sums up its counters every two seconds.
    await eventually(
      async () =>
        expect(await explained("closed")).toContain(
          `warning: endpoint ${node.pod("silent").ip}:8080 probably refuses connections: its 2 packets to clients were all as long as a TCP reset`,
        ),
      { withinMs: 20_000, everyMs: 500 },
    );
  });

  test("is asked by the command explain, whose exit code tells whether something is wrong, and by status", async () => {
    const argv = flagsFor(node, manifests);
    const wrong = await kubeIpvs(node, "explain", "shop/none:80", ...argv);
    expect(wrong).toMatchObject({ code: 2, err: "" });
    expect(wrong.out).toMatch(/last sync at .*\n/);
    const right = await kubeIpvs(node, "explain", "shop/ok", "-o", "json", ...argv);
    expect(right).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(right.out)).toMatchObject({ service: "shop/ok", findings: [], agent: { isPending: false } });
    const status = await kubeIpvs(node, "status", ...argv);
    expect(status).toMatchObject({ code: 0, err: "" });
    expect(status.out).toContain(`node ${node.name}: ready\n`);
  });

  test("is packed with the kernel and without secrets into a support bundle that tar reads", async () => {
    const argv = [...flagsFor(node, manifests), "--ipvs-sync-period", "30s"].map((word) => `'${word}'`).join(" ");
    const bundle = `/run/kube-ipvs-${node.name}.tar`;
    const program = [process.execPath, ...NODE_FLAGS, BUNDLE].join(" ");
    await node.prints(`XTABLES_LOCKFILE=/run/xtables-${node.name}.lock ${program} support-bundle ${argv} >${bundle}`);
    const files = (await node.prints(`tar -tf ${bundle}`)).trim().split("\n");
    expect(files).toContain("kube-ipvs/kernel/ip_vs.txt");
    const text = (name: string) => node.prints(`tar -xOf ${bundle} kube-ipvs/${name}`);
    // Where the kernel lacks a scheduler, diff may name its replacement.
    expect(await text("diff.txt")).toMatch(/exit code [02]\n$/);
    expect(JSON.parse(await text("status.json"))).toMatchObject({ node: node.name, ready: true });
    expect(await text("log.txt")).toMatch(/ INFO {2}kube-ipvs starts .*\n(.*\n)*.* INFO {2}first sync complete /);
    expect(await text("versions.txt")).toMatch(/^iptables: iptables v1/m);
    expect(await text("metrics.txt")).toContain("kube_ipvs_build_info");
    expect(await text("kernel/iptables-IPv4.txt")).toContain(":KUBE-IPVS-FILTER");
    await node.prints(`rm ${bundle}`);
  });

  test("lists all Services at /state of the metrics server, and lets only its user connect to its socket", async () => {
    const state = JSON.parse(await node.prints("curl -sS 'http://127.0.0.1:10249/state?output=json'"));
    expect(state.services).toHaveLength(10);
    expect(state.agent).toMatchObject({ node: node.name, ready: true });
    expect(await node.prints("stat -c %a /run/kube-ipvs-node-1/state.sock")).toBe("600\n");
  });

  test("serves the status page with its files, and sends a Service as the kernel has it", async () => {
    const page = await node.prints("curl -sSi http://127.0.0.1:10249/ui");
    expect(page).toMatch(/^content-security-policy: default-src 'none'; script-src 'self'/m);
    const [, script = ""] = /src="(ui\/main-\w+\.js)"/.exec(page) ?? [];
    expect(await node.prints(`curl -sS http://127.0.0.1:10249/${script}`)).toContain("EventSource");
    const events = "http://127.0.0.1:10249/ui/events?service=shop/ok";
    const line = await node.prints(`curl -sN '${events}' | grep -m1 '^data: {"service":"shop/ok"'`);
    const { explanation, findings } = JSON.parse(line.replace("data: ", ""));
    expect(findings).toEqual([]);
    expect(explanation.frontends).toMatchObject([
      { frontend: "10.96.0.1:80/TCP", state: "as desired", realServers: [{ weight: 1, desiredWeight: 1 }] },
    ]);
  });
});

test("without an agent, explain reads manifests and the kernel, and names kube-ipvs0 that was deleted", async () => {
  await node.prints("ip link del kube-ipvs0");
  const { code, out, err } = await kubeIpvs(node, "explain", "shop/ok", ...flagsFor(node, manifests));
  expect([code, err]).toEqual([2, ""]);
  expect(out).toContain(
    "error: address 10.96.0.1 is missing on the interface kube-ipvs0, or the interface is missing: packets to it leave this node instead of reaching IPVS",
  );
});
