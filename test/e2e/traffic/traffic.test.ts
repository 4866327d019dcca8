import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AgentProcess, ManifestFolder } from "../../support/node/agent-process.ts";
import { type Host, TestNode } from "../../support/node/netns.ts";
import { type ServiceSpec, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { allAnswered, refused } from "../../support/traffic/answers.ts";
import type { Answers } from "../../support/traffic/client.ts";

/**
 * Requests through the whole agent and the real kernel. Pods a, b and c serve; d is a client. All Services exist from
 * the beginning except those that a test changes, and each test has its own.
 */
let node: TestNode;
let manifests: ManifestFolder;
let agent: AgentProcess;
let sctpBefore: readonly string[];

beforeAll(async () => {
  sctpBefore = sctpModules();
  manifests = await ManifestFolder.create();
  node = await TestNode.create({ pods: ["a", "b", "c", "d"], ports: ["tcp:8080", "tcp:8081", "udp:5353", "udp:5354"] });
  await manifests.put("all.json", services());
  agent = AgentProcess.start(node, manifests);
  await agent.ready();
});

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await manifests?.[Symbol.asyncDispose]();
});

const HTTP = { name: "http", port: 80 };
const UDP = { name: "dns", port: 53, protocol: "UDP" };
const SLICE_HTTP = { name: "http", port: 8080, protocol: "TCP" };
const SLICE_UDP = { name: "dns", port: 5353, protocol: "UDP" };
const UNNAMED = [
  { name: "http", port: 8081 },
  { name: "dns", port: 5354, protocol: "UDP" },
];

function services(): readonly object[] {
  const ready = (...names: string[]) => names.map((name) => ({ ip: node.pod(name).ip, node: node.name }));
  const ready6 = (...names: string[]) => names.map((name) => ({ ip: node.pod(name).ip6, node: node.name }));
  return [
    serviceObject("shop/web", { ip: ["10.96.0.1", "fd00:96::1"], ports: [HTTP, UDP, { name: "alt", port: 81 }] }),
    sliceObject("shop/web-4", {
      ports: [SLICE_HTTP, SLICE_UDP, { name: "alt", port: 8081 }],
      endpoints: ready("a", "b", "c"),
    }),
    sliceObject("shop/web-6", {
      ports: [SLICE_HTTP, SLICE_UDP, { name: "alt", port: 8081 }],
      endpoints: ready6("a", "b", "c"),
    }),
    serviceObject("shop/only-6", { ip: "fd00:96::2" }),
    sliceObject("shop/only-6-1", { endpoints: ready6("b") }),
    // The port called http has another number in each slice.
    serviceObject("shop/mixed", { ip: "10.96.0.3", ports: [HTTP] }),
    sliceObject("shop/mixed-1", { ports: [{ name: "http", port: 8080 }], endpoints: ready("b") }),
    sliceObject("shop/mixed-2", { ports: [{ name: "http", port: 8081 }], endpoints: ready("c") }),
    ...sticky({ affinity: 10_800 }),
    serviceObject("shop/front", {
      ip: ["10.96.0.5", "fd00:96::5"],
      ports: [
        { ...HTTP, nodePort: 30_080 },
        { ...UDP, nodePort: 30_053 },
      ],
    }),
    sliceObject("shop/front-4", { ports: [SLICE_HTTP, SLICE_UDP], endpoints: ready("a", "b") }),
    sliceObject("shop/front-6", { ports: [SLICE_HTTP, SLICE_UDP], endpoints: ready6("a", "b") }),
    serviceObject("shop/empty", { ip: ["10.96.0.6", "fd00:96::6"], ports: [{ ...HTTP, nodePort: 30_066 }, UDP] }),
    serviceObject("shop/self", { ip: ["10.96.0.7", "fd00:96::7"], ports: [HTTP, UDP] }),
    sliceObject("shop/self-4", { ports: [SLICE_HTTP, SLICE_UDP], endpoints: ready("d") }),
    sliceObject("shop/self-6", { ports: [SLICE_HTTP, SLICE_UDP], endpoints: ready6("d") }),
    // Slices that name no node, as those that are written by hand. No other Service has these ports of the pod.
    serviceObject("shop/unnamed", { ip: ["10.96.0.11", "fd00:96::11"], ports: [HTTP, UDP] }),
    sliceObject("shop/unnamed-4", { ports: UNNAMED, endpoints: [pod().ip] }),
    sliceObject("shop/unnamed-6", { ports: UNNAMED, endpoints: [pod().ip6] }),
    serviceObject("shop/signals", { ip: "10.96.0.8", ports: [{ port: 3868, protocol: "SCTP", nodePort: 30_132 }] }),
    sliceObject("shop/signals-1", { ports: [{ port: 3868, protocol: "SCTP" }], endpoints: ready("a") }),
    serviceObject("shop/local", { ip: "10.96.0.9", ports: [{ ...HTTP, nodePort: 30_099 }], external: "Local" }),
    sliceObject("shop/local-1", {
      ports: [SLICE_HTTP],
      endpoints: [...ready("a"), { ip: node.pod("b").ip, node: "other" }],
    }),
  ];
}

function sticky(affinity: Pick<ServiceSpec, "affinity">): readonly object[] {
  const endpoints = ["a", "b", "c"].map((name) => node.pod(name).ip);
  return [
    serviceObject("shop/sticky", { ip: "10.96.0.4", ports: [HTTP, UDP], ...affinity }),
    sliceObject("shop/sticky-1", { ports: [SLICE_HTTP, SLICE_UDP], endpoints }),
  ];
}

/** The loaded modules of SCTP; others are loaded by the agent on a kernel that has them as files. */
function sctpModules(): readonly string[] {
  return readFileSync("/proc/modules", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[0] ?? "")
    .filter((name) => name.includes("sctp"))
    .sort();
}

const from = (host: Host) => node.client(host);
const pod = () => node.pod("d");

describe.each([
  ["IPv4", "10.96.0.1", (host: Host) => host.ip],
  ["IPv6", "fd00:96::1", (host: Host) => host.ip6],
] as const)("a ClusterIP of %s", (_, vip, ipOf) => {
  test("distributes the TCP connections of a pod, which keeps its address", async () => {
    expect(await from(pod()).tcp(vip, 80, 9)).toEqual(allAnswered({ a: 3, b: 3, c: 3 }, ipOf(pod())));
  });

  test("distributes the UDP requests of a pod, which keeps its address", async () => {
    expect(await from(pod()).udp(vip, 53, 9)).toEqual(allAnswered({ a: 3, b: 3, c: 3 }, ipOf(pod())));
  });

  test("serves its other port at the endpoints' number for that port", async () => {
    const { status, body } = await from(pod()).get(vip, 81, "/");
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ port: 8081, client: ipOf(pod()) });
  });

  test("serves the node itself, over TCP and UDP, masqueraded to an address of the node", async () => {
    const gateway = ipOf({ ...node.node, ip: "10.244.1.1", ip6: "fd00:244:1::1" });
    expect(await from(node.node).tcp(vip, 80, 6)).toEqual(allAnswered({ a: 2, b: 2, c: 2 }, gateway));
    expect(await from(node.node).udp(vip, 53, 6)).toEqual(allAnswered({ a: 2, b: 2, c: 2 }, gateway));
  });

  test("serves a host that is no pod, masqueraded", async () => {
    await node.outside.namespace.output([
      "ip",
      "route",
      "replace",
      `${vip}/${vip.includes(":") ? 128 : 32}`,
      "via",
      ipOf(node.node),
    ]);
    const { answers, clients } = await from(node.outside).tcp(vip, 80, 3);
    expect(answers).toEqual({ a: 1, b: 1, c: 1 });
    expect(Object.keys(clients)).not.toContain(ipOf(node.outside));
  });

  test("rejects a port that no Service has", async () => {
    expect(await from(pod()).tcp(vip, 82)).toEqual(refused(1));
    expect(await from(pod()).udp(vip, 82, 2)).toEqual(refused(2));
  });

  test("does not expose ports on which the node itself listens", async () => {
    expect(await from(pod()).tcp(vip, 10_256)).toEqual(refused(1));
  });
});

test("a Service with IPv6 alone is served", async () => {
  expect(await from(pod()).tcp("fd00:96::2", 80, 3)).toEqual(allAnswered({ b: 3 }, pod().ip6));
});

test("a named port has the number of each slice", async () => {
  const bodies = [1, 2].map(async () => JSON.parse((await from(pod()).get("10.96.0.3", 80, "/")).body));
  const seen = (await Promise.all(bodies)).map(({ pod: name, port }) => `${name}:${port}`);
  expect(seen.sort()).toEqual(["b:8080", "c:8081"]);
});

test("curl gets an answer from a Service over HTTP/1.1", async () => {
  const body = await pod().namespace.output([
    "curl",
    "-sS",
    "--max-time",
    `${patient(5_000) / 1_000}`,
    "http://10.96.0.1/",
    "http://10.96.0.1/",
  ]);
  expect(
    body
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).port),
  ).toEqual([8080, 8080]);
});

test("session affinity keeps a client at one endpoint until it is removed in place", async () => {
  const stuck = [await from(pod()).tcp("10.96.0.4", 80, 15), await from(pod()).udp("10.96.0.4", 53, 15)];
  for (const { answers, errors } of stuck) {
    expect(errors).toEqual({});
    expect(Object.values(answers)).toEqual([15]);
  }
  await manifests.put("zz-sticky.json", sticky({}));
  await manifests.put(
    "all.json",
    services().filter((object) => !JSON.stringify(object).includes("sticky")),
  );
  const spread = async (ask: () => Promise<Answers>) => Object.keys((await ask()).answers).sort();
  const all = ["a", "b", "c"];
  await eventually(async () => expect(await spread(() => from(pod()).tcp("10.96.0.4", 80, 6))).toEqual(all));
  await eventually(async () => expect(await spread(() => from(pod()).udp("10.96.0.4", 53, 6))).toEqual(all));
});

describe.each([
  ["IPv4", (host: Host) => host.ip, "10.244.1.1"],
  ["IPv6", (host: Host) => host.ip6, "fd00:244:1::1"],
] as const)("a NodePort of %s", (_, ipOf, gateway) => {
  test("serves clients from outside, over TCP and UDP, masqueraded to an address of the node", async () => {
    expect(await from(node.outside).tcp(ipOf(node.node), 30_080, 4)).toEqual(allAnswered({ a: 2, b: 2 }, gateway));
    expect(await from(node.outside).udp(ipOf(node.node), 30_053, 4)).toEqual(allAnswered({ a: 2, b: 2 }, gateway));
  });

  test("serves a pod at an address of the node", async () => {
    expect(await from(pod()).tcp(ipOf(node.node), 30_080, 4)).toEqual(allAnswered({ a: 2, b: 2 }));
    expect(await from(pod()).tcp(gateway, 30_080, 4)).toEqual(allAnswered({ a: 2, b: 2 }));
  });

  test("serves the node itself", async () => {
    expect(await from(node.node).tcp(ipOf(node.node), 30_080, 4)).toEqual(allAnswered({ a: 2, b: 2 }));
  });

  test("a pod reaches itself through a Service of which it is the only endpoint", async () => {
    const vip = ipOf({ ...node.node, ip: "10.96.0.7", ip6: "fd00:96::7" });
    expect(await from(pod()).tcp(vip, 80, 3)).toEqual(allAnswered({ d: 3 }, gateway));
    expect(await from(pod()).udp(vip, 53, 3)).toEqual(allAnswered({ d: 3 }, gateway));
  });

  test("a pod reaches itself through a Service whose slices do not name its node", async () => {
    const vip = ipOf({ ...node.node, ip: "10.96.0.11", ip6: "fd00:96::11" });
    expect(await from(pod()).tcp(vip, 80, 3)).toEqual(allAnswered({ d: 3 }, gateway));
    expect(await from(pod()).udp(vip, 53, 3)).toEqual(allAnswered({ d: 3 }, gateway));
  });

  test("a Service without endpoints rejects", async () => {
    const vip = ipOf({ ...node.node, ip: "10.96.0.6", ip6: "fd00:96::6" });
    expect(await from(pod()).tcp(vip, 80)).toEqual(refused(1));
    expect(await from(pod()).udp(vip, 53, 2)).toEqual(refused(2));
    expect(await from(node.outside).tcp(ipOf(node.node), 30_066)).toEqual(refused(1));
  });
});

test("with the external policy Local only the endpoints of this node answer at the NodePort", async () => {
  expect((await from(node.outside).tcp(node.node.ip, 30_099, 4)).answers).toEqual({ a: 4 });
  expect((await from(pod()).tcp("10.96.0.9", 80, 4)).answers).toEqual({ a: 2, b: 2 });
});

test("SCTP is programmed, and the agent does not load the SCTP module", async () => {
  const servers = await node.prints("ipvsadm -Sn");
  expect(servers).toContain("-A --sctp-service 10.96.0.8:3868 -s rr");
  expect(servers).toContain(`-A --sctp-service ${node.node.ip}:30132 -s rr`);
  expect(servers).toContain(`-a --sctp-service 10.96.0.8:3868 -r ${node.pod("a").ip}:3868 -m -w 1`);
  expect(sctpModules()).toEqual(sctpBefore);
});
