import { readFileSync } from "node:fs";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import type { V1ConfigMap, V1DaemonSet } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { parse } from "yaml";
import { testTls } from "../../support/api/api-server.ts";
import { ControlPlane } from "../../support/api/worlds/control-plane.ts";
import { startedAs } from "../../support/container/deployment.ts";
import { hostPaths } from "../../support/container/host-paths.ts";
import { Image } from "../../support/container/image.ts";
import { type AgentContainer, PodRuntime } from "../../support/container/pod-runtime.ts";
import { kernelHasSeccompFilters } from "../../support/container/seccomp.ts";
import { AccountFolder } from "../../support/container/service-account.ts";
import { VolumeFolder } from "../../support/container/volume-folder.ts";
import { TestNode } from "../../support/node/netns.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { eventually } from "../../support/time/eventually.ts";
import { patient } from "../../support/time/patience.ts";
import { LongClient } from "../../support/traffic/client.ts";

/**
 * The agent in place of kube-proxy in the DaemonSet that kubeadm makes: its command line, ConfigMap, kubeconfig and security
 * context as they are, in a container of crun; only the program is another one, and the address of the control plane is that
 * of the test.
 */
let node: TestNode;
let plane: ControlPlane;
let account: AccountFolder;
let image: Image;

/** A container starts with uncompiled code, which takes seconds in a guest. */
vi.setConfig({ testTimeout: patient(180_000) });

const IP = "10.96.5.1";
const FOLDER = new URL("../../fixtures/kubeadm/", import.meta.url);
const fixture = (file: string) => parse(readFileSync(new URL(file, FOLDER), "utf8"));

beforeAll(async () => {
  image = await Image.create();
  await symlink("kube-ipvs", join(image.path, "usr/local/bin/kube-proxy"));
  node = await TestNode.create({ pods: ["a", "b"] });
  plane = await ControlPlane.create(node);
  plane.model.behaviour.tokens = new Map([["first", "system:serviceaccount:kube-system:kube-proxy"]]);
  account = await AccountFolder.create({ token: "first", authority: testTls("a").cert, namespace: "kube-system" });
  plane.put(nodeObject(node.name, { ips: [node.node.ip, node.node.ip6] }));
  serve("a");
});

afterAll(async () => {
  await plane?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
  await account?.[Symbol.asyncDispose]();
  await image?.[Symbol.asyncDispose]();
});

function serve(...pods: readonly string[]): void {
  const endpoints = pods.map((pod) => node.pod(pod).ip);
  plane.put(serviceObject("shop/web", { ip: IP }), sliceObject("shop/web-1", { endpoints }));
}

/** The files of kubeadm's ConfigMap, and a way to change its configuration. */
async function configMap() {
  const { data = {} } = fixture("kube-proxy-configmap.yaml") as V1ConfigMap;
  const kubeconfig = (data["kubeconfig.conf"] ?? "").replace("https://control-plane.example:6443", plane.server.url);
  const files = { ...data, "kubeconfig.conf": kubeconfig };
  const volume = await VolumeFolder.create("/run/kube-ipvs-config-", files);
  onTestFinished(() => volume[Symbol.asyncDispose]());
  return {
    path: volume.path,
    /** Puts a text in the place of another one in config.conf; "" for kubeadm's own. */
    change: async (from: string, to: string) => {
      const config = data["config.conf"] ?? "";
      expect(config).toContain(from);
      await volume.replace({ ...files, "config.conf": config.replace(from, to) });
    },
  };
}

/** The agent as the kubelet starts kube-proxy, with the folder as the volume of its ConfigMap. */
async function start(folder: string): Promise<AgentContainer> {
  const daemonSet = fixture("kube-proxy-daemonset.yaml") as V1DaemonSet;
  const pod = daemonSet.spec?.template.spec;
  const [container] = pod?.containers ?? [];
  if (pod === undefined || container === undefined) throw new Error("The DaemonSet has no container");
  const { argv, env } = startedAs(container, node.name, {});
  expect(argv).toEqual([
    "/usr/local/bin/kube-proxy",
    "--config=/var/lib/kube-proxy/config.conf",
    `--hostname-override=${node.name}`,
  ]);
  const runtime = await PodRuntime.create(node, {
    rootfs: image.path,
    imageMounts: image.mounts,
    hostPath: await hostPaths(node),
    volumes: new Map([["kube-proxy", folder]]),
    account: account.path,
    filtersCalls: kernelHasSeccompFilters(),
  });
  onTestFinished(() => runtime[Symbol.asyncDispose]());
  const started = await runtime.start({ pod, container, started: { argv, env: { ...image.env, ...env } } });
  onTestFinished(() => started.agent[Symbol.asyncDispose]());
  return started;
}

const held = async () =>
  (await node.prints("ipvsadm -Sn"))
    .split("\n")
    .filter((line) => line.includes(` ${IP}:80 `) || line.endsWith(` ${IP}:80`));
const soon = (claim: () => void | Promise<void>) => eventually(claim, { withinMs: 60_000, everyMs: 200 });
const events = (reason: string) => [...plane.model.events.events.values()].filter((event) => event.reason === reason);

test("kubeadm's command line and ConfigMap start the agent, with nothing to report about them", async () => {
  const { path } = await configMap();
  const { agent } = await start(path);
  await agent.ready();
  expect(await held()).toEqual([`-A -t ${IP}:80 -s rr`, `-a -t ${IP}:80 -r ${node.pod("a").ip}:8080 -m -w 1`]);
  const { answers } = await node.client(node.pod("b")).tcp(IP, 80, 2);
  expect(answers).toEqual({ a: 2 });
  expect(agent.log).not.toContain("settings without effect");
  expect(events("InvalidConfiguration")).toEqual([]);
  // The pod network of the file is in the rules.
  expect(await node.prints("iptables-save -t nat")).toContain("10.244.0.0/16");
});

test("a changed ConfigMap is applied by the running agent, and connections live", async () => {
  const volume = await configMap();
  const { agent, exitCode } = await start(volume.path);
  await agent.ready();
  const connection = await LongClient.hold(node.pod("b").namespace, IP, 80);
  await volume.change('scheduler: ""', "scheduler: sh");
  await soon(async () => expect((await held())[0]).toBe(`-A -t ${IP}:80 -s sh`));
  expect(agent.log).toContain("the configuration file has changed, and its settings are in use");
  const { answers, errors } = await connection.stop();
  expect([Object.keys(answers), errors]).toEqual([["a"], {}]);
  expect(exitCode()).toBeUndefined();
});

test("an invalid ConfigMap changes nothing and is reported, and the agent goes on", async () => {
  const volume = await configMap();
  const { agent } = await start(volume.path);
  await agent.ready();
  const valid = async () => (await agent.metrics()).get("kube_ipvs_config_last_reload_successful");
  expect(await valid()).toBe(1);
  await volume.change('scheduler: ""', "schedular: sh");
  await soon(async () => expect(await valid()).toBe(0));
  expect(agent.log).toContain('Unknown key \\"ipvs.schedular\\": did you mean ipvs.scheduler?');
  await soon(() =>
    expect(events("InvalidConfiguration")).toMatchObject([
      {
        regarding: { kind: "Node", name: node.name },
        note: expect.stringContaining('Unknown key "ipvs.schedular": did you mean ipvs.scheduler?'),
      },
    ]),
  );
  serve("b");
  await soon(async () => expect(await held()).toContain(`-a -t ${IP}:80 -r ${node.pod("b").ip}:8080 -m -w 1`));
  expect((await held())[0]).toBe(`-A -t ${IP}:80 -s rr`);
  await volume.change('scheduler: ""', 'scheduler: ""');
  await soon(async () => expect(await valid()).toBe(1));
  serve("a");
});

test("a change that needs a new start ends the agent with code 3 and a reason; the kernel goes on serving", async () => {
  const volume = await configMap();
  const { agent, exitCode } = await start(volume.path);
  await agent.ready();
  await soon(async () => expect(await held()).toContain(`-a -t ${IP}:80 -r ${node.pod("a").ip}:8080 -m -w 1`));
  await volume.change("excludeCIDRs: null", "excludeCIDRs: [10.200.0.0/16]");
  await soon(() => expect(exitCode()).toBe(3));
  expect(events("ConfigurationChanged")).toMatchObject([
    { type: "Normal", note: expect.stringContaining("has changed in ipvs.excludeCIDRs") },
  ]);
  expect(agent.log).toMatch(/the agent ends, because these settings need a new start.*ipvs.excludeCIDRs/);
  expect(agent.log).toContain("kube-ipvs stopped; the kernel keeps serving Services");
  expect((await node.client(node.pod("b")).tcp(IP, 80, 2)).answers).toEqual({ a: 2 });
});
