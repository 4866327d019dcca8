import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { testTls } from "../../support/api/api-server.ts";
import type { ApiEvent } from "../../support/api/event-registry.ts";
import { routeOf } from "../../support/api/routes.ts";
import type { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { DaemonSetNode, NAMESPACE } from "../../support/container/daemonset.ts";
import { deployedRules, deployedUser } from "../../support/container/deployment.ts";
import type { AgentContainer } from "../../support/container/pod-runtime.ts";
import { type AgentProcess, sumOf } from "../../support/node/agent-process.ts";
import type { TestNode } from "../../support/node/netns.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";

/**
 * The agent as its DaemonSet runs it: containers with the arguments, variables and security context of the manifest, started by
 * crun; with an API server that allows what the ClusterRole allows.
 */
let daemonSet: DaemonSetNode;
let node: TestNode;
let plane: ControlPlane;

/** A container starts with uncompiled code, which takes seconds in a guest. */
vi.setConfig({ testTimeout: patient(120_000) });
const REQUIRED = ["net/ipv4/vs/conntrack", "net/ipv4/ip_forward"];

beforeAll(async () => {
  daemonSet = await DaemonSetNode.create({ pods: ["a", "b", "c"] });
  ({ node, plane } = daemonSet);
});

afterAll(() => daemonSet?.[Symbol.asyncDispose]());

/** The agent in its container; it ends with the test. It checks the node every two seconds, so that no test waits for 30. */
async function startAgent(): Promise<AgentContainer> {
  const container = await daemonSet.start((_, { args = [] }) => void args.push("--ipvs-sync-period=2s"));
  onTestFinished(() => container.agent[Symbol.asyncDispose]());
  return container;
}

/** The Events that the server keeps with this reason. */
function events(reason: string): readonly ApiEvent[] {
  return [...plane.model.events.events.values()].filter((event) => event.reason === reason);
}

const soon = (claim: () => void | Promise<void>) => eventually(claim, { withinMs: 40_000, everyMs: 100 });

async function sysctls(): Promise<readonly string[]> {
  const text = await node.prints("cat", ...REQUIRED.map((path) => `/proc/sys/${path}`));
  return text.trim().split("\n");
}

/** The real servers of a virtual server that accept new connections, from ipvsadm. */
async function backends(server: string): Promise<readonly string[]> {
  const text = await node.prints("ipvsadm -Sn");
  return [...text.matchAll(new RegExp(`-a -t ${server} -r (\\S+) -m -w [1-9]`, "g"))]
    .map(([, real]) => real ?? "")
    .toSorted();
}

function putService(name: string, ip: string, ...pods: readonly string[]): void {
  plane.put(
    serviceObject(`shop/${name}`, { ip }),
    sliceObject(`shop/${name}-1`, { endpoints: pods.map((pod) => node.pod(pod).ip) }),
  );
}

describe("a node without preparation", () => {
  test("is programmed by the agent, which reports what is missing, and is ready after init has run", async () => {
    await node.prints(...REQUIRED.map((path) => `echo 0 >/proc/sys/${path};`));
    putService("web", "10.96.4.1", "a");
    const { agent } = await startAgent();
    await soon(async () => expect(await backends("10.96.4.1:80")).toEqual([`${node.pod("a").ip}:8080`]));
    await soon(() => {
      for (const path of REQUIRED)
        expect(events("NodePreparationFailed")).toContainEqual(
          expect.objectContaining({
            regarding: expect.objectContaining({ kind: "Node", name: node.name }),
            note: expect.stringContaining(`${path} is 0, not 1, and cannot be written here (EROFS)`),
          }),
        );
    });
    expect(events("KernelUnavailable")).toEqual([]);
    expect(await sysctls()).toEqual(["0", "0"]);

    const { code, out, err } = await daemonSet.init();
    expect([code, err]).toEqual([0, expect.not.stringContaining("net/ipv4/ip_forward")]);
    expect(out).toContain("set net/ipv4/vs/conntrack from 0 to 1");
    expect(await sysctls()).toEqual(["1", "1"]);
    await agent.ready();
    expect(await backends("10.96.4.1:80")).toEqual([`${node.pod("a").ip}:8080`]);
  });

  test("is changed by the first init only", async () => {
    await daemonSet.init();
    expect(await daemonSet.init()).toMatchObject({ code: 0, out: "" });
  });
});

describe("sysctls that another program changes", () => {
  /** The desired sysctls of a node of this cluster; the size of the conntrack table belongs to the host. */
  const WANTED = [
    ...REQUIRED,
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/vs/expire_nodest_conn",
    "net/ipv4/vs/expire_quiescent_template",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
  ];
  const wrong = async (agent: AgentProcess) =>
    [...(await agent.metricsText()).matchAll(/^kube_ipvs_sysctl_wrong\{name="([^"]+)"\} 1$/gm)]
      .map(([, name = ""]) => name)
      .filter((name) => !/nf_conntrack_(max|buckets)/.test(name))
      .toSorted();

  test("are reported each with its remedy and interrupt nothing, also after a SIGKILL", async () => {
    await daemonSet.init();
    putService("web", "10.96.4.1", "a");
    const { agent: first, kill } = await startAgent();
    await first.ready();
    expect(await wrong(first)).toEqual([]);
    await node.prints(...WANTED.map((path) => `echo 0 >/proc/sys/${path} || echo 77 >/proc/sys/${path};`));
    await soon(async () => expect(await wrong(first)).toEqual(WANTED.toSorted()));
    putService("web", "10.96.4.1", "b");
    await soon(async () => expect(await backends("10.96.4.1:80")).toEqual([`${node.pod("b").ip}:8080`]));
    await kill();

    const { agent: second } = await startAgent();
    putService("web", "10.96.4.1", "c");
    await soon(async () => expect(await backends("10.96.4.1:80")).toEqual([`${node.pod("c").ip}:8080`]));
    await soon(async () => expect((await second.readyz()).body).toContain("net/ipv6/conf/all/forwarding is 0"));
    expect((await second.readyz()).body).toContain("sysctl -w net.ipv4.ip_forward=1");
    const { status } = await node.client(node.node).get("127.0.0.1", 10_256, "/livez");
    expect(status).toBe(200);
    await daemonSet.init();
    await second.ready();
    expect(await wrong(second)).toEqual([]);
  });
});

describe("the agent in its container", () => {
  test("serves, sends only requests that its role allows, and ends on SIGTERM", async () => {
    putService("web", "10.96.4.1", "a", "b");
    const before = new Set(events("NodePreparationFailed"));
    plane.model.requests.length = 0;
    const { agent } = await startAgent();
    await agent.ready();
    const { answers, errors } = await node.client(node.pod("c")).tcp("10.96.4.1", 80, 6);
    expect([answers, errors]).toEqual([{ a: 3, b: 3 }, {}]);
    putService("web", "10.96.4.1", "b");
    await soon(async () => expect(await backends("10.96.4.1:80")).toEqual([`${node.pod("b").ip}:8080`]));

    await soon(() => expect(events("Starting").length).toBeGreaterThan(0));
    expect(events("Starting").at(-1)).toMatchObject({
      metadata: { namespace: "default" },
      reportingController: "kube-ipvs",
      reportingInstance: `kube-ipvs-${node.name}`,
      regarding: { kind: "Node", name: node.name },
    });
    // The conntrack limit belongs to the host, and this is one of its namespaces.
    // On a slow host the rules are written after the first Services.
    const fresh = events("NodePreparationFailed").filter((event) => !before.has(event));
    expect(fresh.filter(({ note }) => !/nf_conntrack|iptables rules .* within/.test(note))).toEqual([]);
    expect(await node.prints("iptables-save -t nat")).toContain("-A PREROUTING -m comment");
    expect(sumOf(await agent.metrics(), /^kube_ipvs_watch_endings_total\{.*reason="40[13]"/)).toBe(0);
    // All requests use the token, and no other credentials.
    expect(new Set(plane.model.requests.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer first"]));
    expect(plane.model.requests.map((request) => routeOf(request))).not.toContain(undefined);

    const startedMs = performance.now();
    await agent[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(patient(10_000));
    expect(agent.log).toContain("kube-ipvs stopped");
    expect(await backends("10.96.4.1:80")).toEqual([`${node.pod("b").ip}:8080`]);
  });

  test("reports the problems of a Service to its owner", async () => {
    putService("first", "10.96.4.2", "a");
    plane.model.store.put("/api/v1/services", {
      ...serviceObject("shop/second", { ip: "10.96.4.2" }),
      metadata: { namespace: "shop", name: "second", uid: "uid-of-second" },
    });
    const { agent } = await startAgent();
    await agent.ready();
    await soon(() => {
      expect(events("NotProxied")).toMatchObject([
        {
          type: "Warning",
          metadata: { namespace: "shop" },
          regarding: { kind: "Service", namespace: "shop", name: "second", uid: "uid-of-second" },
          note: expect.stringContaining("Service shop/first"),
        },
      ]);
    });
    expect(sumOf(await agent.metrics(), /^kube_ipvs_events_total\{result="failed"/)).toBe(0);
  });

  test("continues with the token that replaces its own", async () => {
    putService("web", "10.96.4.1", "a");
    const { agent } = await startAgent();
    await agent.ready();
    await daemonSet.account.replace({ token: "second", authority: testTls("a").cert, namespace: NAMESPACE });
    plane.model.behaviour.tokens = new Map([["second", deployedUser()]]);
    plane.model.requests.length = 0;
    plane.server.resetConnections();
    putService("web", "10.96.4.1", "b", "c");
    const reals = [node.pod("b").ip, node.pod("c").ip].map((ip) => `${ip}:8080`);
    await soon(async () => expect(await backends("10.96.4.1:80")).toEqual(reals));
    const tokens = plane.model.requests.map(({ authorization }) => authorization);
    expect(tokens).toContain("Bearer second");
    // After the new token was read the old one is not used again.
    expect(tokens.lastIndexOf("Bearer first")).toBeLessThan(tokens.lastIndexOf("Bearer second"));
  });

  test("waits for its role without changing anything, and then continues", async () => {
    plane.model.behaviour.rules = [];
    const before = await node.prints("ipvsadm -Sn");
    const { agent } = await startAgent();
    await agent.logged("cannot watch");
    expect(await node.prints("ipvsadm -Sn")).toBe(before);
    plane.model.behaviour.rules = deployedRules();
    await agent.ready();
  });
});
