import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1ClusterRole, V1ClusterRoleBinding } from "@kubernetes/client-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { readCommandLine } from "../../src/config/cli.ts";
import type { Config } from "../../src/config/config.ts";
import { EventRecorder } from "../../src/events/event-recorder.ts";
import { AccessControl } from "../../src/serve/access/access-control.ts";
import { createObject } from "../../src/sources/api/create-object.ts";
import { ApiModel, type ApiRequest, type Rule } from "../support/api/api-model.ts";
import { routeOf } from "../support/api/routes.ts";
import { unknownFields } from "../support/api/schema.ts";
import { HandClock } from "../support/api/worlds/hand-clock.ts";
import { ModelTransport } from "../support/api/worlds/model-transport.ts";
import { SILENT_LOGGER } from "../support/api/worlds/silent-logger.ts";
import { SourceWorld } from "../support/api/worlds/source-world.ts";
import {
  deployedBinding,
  deployedConfigMap,
  deployedContainer,
  deployedDaemonSet,
  deployedObjects,
  deployedPod,
  deployedRules,
  deployedUser,
  kubeProxyPatch,
  metricsAccessObjects,
  startedAs,
} from "../support/container/deployment.ts";
import { aboutNode, aboutService } from "../support/objects/event-records.ts";

test.each(deployedObjects().map((object) => [object.kind, object] as const))(
  "%s has only fields of the API",
  (kind, object) => {
    expect(unknownFields(object, `V1${kind}`)).toEqual([]);
    expect(object.metadata?.name).toMatch(/^kube-ipvs(-[a-z0-9]{10})?$/);
  },
);

test("the walk through the fields finds a misspelt one at any depth", () => {
  const spec = {
    template: { spec: { containers: [{ name: "a", securityContext: { readOnlyRootFileSystem: true } }] } },
  };
  expect(unknownFields({ kind: "DaemonSet", spec }, "V1DaemonSet")).toEqual([
    ".spec.template.spec.containers.0.securityContext.readOnlyRootFileSystem",
  ]);
});

describe("the pod", () => {
  const pod = deployedPod();

  test("matches the selector of its DaemonSet", () => {
    const { selector, template } = deployedDaemonSet().spec ?? {};
    expect(template?.metadata?.labels).toMatchObject(selector?.matchLabels ?? { no: "selector" });
  });

  test("runs on every Linux node, before all others, in the network of the host and without the DNS of the cluster", () => {
    expect(pod).toMatchObject({
      nodeSelector: { "kubernetes.io/os": "linux" },
      tolerations: [{ operator: "Exists" }],
      priorityClassName: "system-node-critical",
      hostNetwork: true,
      dnsPolicy: "Default",
    });
  });

  test("runs on just the nodes on which kube-proxy, when it is patched, does not", () => {
    const [rule] = pod.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
    const { template } = kubeProxyPatch().spec;
    const [[key, value] = [], another] = Object.entries(template.spec.nodeSelector);
    expect(another).toBeUndefined();
    expect(rule?.matchExpressions).toEqual([{ key, operator: "NotIn", values: [value] }]);
  });

  test("runs as the user to whom the binding gives the role", () => {
    expect(deployedBinding().roleRef).toMatchObject({ kind: "ClusterRole", name: "kube-ipvs" });
    expect(deployedUser()).toBe(`system:serviceaccount:kube-system:${pod.serviceAccountName}`);
  });

  test("mounts no more of the host than the lock of iptables and, at its start, the modules", () => {
    const paths = new Map((pod.volumes ?? []).map(({ name, hostPath }) => [name, hostPath?.path]));
    const mounts = (which: "containers" | "initContainers") =>
      deployedContainer(which).volumeMounts?.map(({ name, mountPath, readOnly = false }) => [
        paths.get(name),
        mountPath,
        readOnly,
      ]);
    expect(mounts("containers")).toEqual([
      ["/run/xtables.lock", "/run/xtables.lock", false],
      // Not of the host.
      [undefined, "/run/kube-ipvs", false],
    ]);
    expect(mounts("initContainers")).toEqual([["/lib/modules", "/lib/modules", true]]);
  });
});

/** What our own command line makes of a container's arguments; the kubelet adds the first variable. */
function understood(which: "containers" | "initContainers", config: Readonly<Record<string, string>> = {}) {
  const { argv, env } = startedAs(deployedContainer(which), "node-1", config);
  expect(argv[0]).toBe("kube-ipvs");
  return readCommandLine(argv.slice(1), {
    env: { KUBERNETES_SERVICE_HOST: "10.96.0.1", ...env },
    hostname: "(none)",
    readFile: () => "",
  });
}

function understoodConfig(config: Readonly<Record<string, string>>): Config {
  const invocation = understood("containers", config);
  if (invocation.kind !== "command") throw new Error(JSON.stringify(invocation));
  return invocation.config;
}

describe("the agent", () => {
  const container = deployedContainer("containers");

  test("has only the capabilities that netlink and iptables need", () => {
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsUser: 0,
      capabilities: { drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"] },
    });
  });

  test("gets valid arguments, by default and as an operator sets them", () => {
    expect(understood("containers")).toMatchObject({ kind: "command", command: "run" });
    expect(
      understoodConfig({
        apiServers: "https://10.0.0.11:6443,https://10.0.0.12:6443",
        clusterCIDR: "10.244.0.0/16,fd00::/32",
      }),
    ).toMatchObject({
      nodeName: "node-1",
      servers: ["https://10.0.0.11:6443", "https://10.0.0.12:6443"],
      clusterCidrs: [{ text: "10.244.0.0/16" }, { text: "fd00::/32" }],
    });
    // Nothing at all is the service account's server and no cluster network.
    expect(understoodConfig({ apiServers: "", clusterCIDR: "" })).toMatchObject({ servers: [], clusterCidrs: [] });
  });

  test.each([
    ["livenessProbe", "/livez"],
    ["readinessProbe", "/readyz"],
  ] as const)("answers its %s where it is asked", (probe, path) => {
    const port = container.ports?.find(({ name }) => name === container[probe]?.httpGet?.port);
    expect(container[probe]?.httpGet?.path).toBe(path);
    expect(understoodConfig({}).healthzBindAddress).toEqual({ address: "0.0.0.0", port: port?.containerPort });
  });

  test("refers only to existing configuration", () => {
    const asked = (container.env ?? []).flatMap(({ valueFrom }) => valueFrom?.configMapKeyRef ?? []);
    expect(asked.map(({ name }) => name)).toEqual(asked.map(() => deployedConfigMap().metadata?.name));
    expect(asked.map(({ key }) => key).toSorted()).toEqual(Object.keys(deployedConfigMap().data ?? {}).toSorted());
  });
});

test("the init container is privileged, has valid arguments, and runs the same program", () => {
  const container = deployedContainer("initContainers");
  expect(container.securityContext).toEqual({ privileged: true, readOnlyRootFilesystem: true });
  expect(container.image).toBe(deployedContainer("containers").image);
  expect(understood("initContainers")).toMatchObject({ kind: "command", command: "init" });
  // By these it knows which families are forwarded.
  expect(understood("initContainers", { clusterCIDR: "10.244.0.0/16,fd00::/32" })).toMatchObject({
    config: { clusterCidrs: [{ family: "IPv4" }, { family: "IPv6" }] },
  });
});

/** Rights that requests need, as "list services". */
function rightsOf(requests: readonly ApiRequest[]): readonly string[] {
  const rights = requests.map((request) => {
    const { verb, group, resource } = routeOf(request) ?? { verb: "", group: "", resource: request.path };
    return [verb, resource, group].join(" ").trim();
  });
  return [...new Set(rights)].toSorted();
}

/** What the watches ask for, of a server that streams lists and of one that does not. */
async function rightsOfWatches(): Promise<readonly string[]> {
  const world = new SourceWorld();
  onTestFinished(() => world.stop());
  await world.serve();
  const folder = await mkdtemp(join(tmpdir(), "manifests-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "kubeconfig"), world.kubeconfig("{}"));
  await world.watch(join(folder, "kubeconfig"));
  await world.until("the watches", () => world.told.listed.size === 4);
  world.model.behaviour.watchList = "disabled";
  world.model.store.version++;
  world.model.store.forgetHistory();
  world.model.endWatches("end");
  await world.until("the lists", () => world.source.stats().every(({ lists }) => lists === 2));
  return rightsOf(world.model.requests);
}

/** What the Events ask for, from the first to the series. */
async function rightsOfEvents(): Promise<readonly string[]> {
  const clock = new HandClock();
  const model = new ApiModel(clock);
  const writer = new EventRecorder("node-1", { clock, random: () => 0, logger: SILENT_LOGGER });
  const stop = new AbortController();
  const running = writer.run(new ModelTransport(model), stop.signal);
  for (const _ of [1, 2]) {
    for (const event of [aboutNode("node-1"), aboutService("shop/web")]) writer.record(event);
    await clock.advance(600_000);
  }
  stop.abort();
  await running;
  return rightsOf(model.requests);
}

/** What a role allows, as "list services". */
function allowedBy(rules: readonly Rule[]): readonly string[] {
  return rules
    .flatMap(({ apiGroup, resource, verbs }) => verbs.map((verb) => [verb, resource, apiGroup].join(" ").trim()))
    .toSorted();
}

test("the role allows exactly the requests of the agent", async () => {
  const asked = [...(await rightsOfWatches()), ...(await rightsOfEvents())];
  expect(allowedBy(deployedRules())).toEqual([...new Set(asked)].toSorted());
});

describe("the optional access to metrics", () => {
  const [role, binding, reader] = metricsAccessObjects() as [V1ClusterRole, V1ClusterRoleBinding, V1ClusterRole];

  test.each(metricsAccessObjects().map((object) => [object.kind, object] as const))(
    "%s has only fields of the API",
    (kind, object) => expect(unknownFields(object, `V1${kind}`)).toEqual([]),
  );

  test("allows the user of the agent exactly the reviews that it requests", async () => {
    const clock = new HandClock();
    const model = new ApiModel(clock);
    model.reviews.tokens.set("secret", { username: "prometheus", groups: [] });
    const signal = new AbortController().signal;
    const transport = new ModelTransport(model);
    const create = (path: string, object: object) => createObject(transport, path, object, { clock, signal });
    const control = new AccessControl({ clock, logger: SILENT_LOGGER, create });
    await control.refusal({ authorization: "Bearer secret", method: "GET", path: "/metrics" });
    expect(allowedBy(deployedRules(role))).toEqual(rightsOf(model.requests));
    expect(model.requests).toHaveLength(2);
    expect(binding.roleRef).toMatchObject({ kind: "ClusterRole", name: role.metadata?.name });
    expect(binding.subjects).toEqual(deployedBinding().subjects);
  });

  test("has a role for Prometheus that allows to read metrics and nothing else", () => {
    expect(reader.rules).toEqual([{ nonResourceURLs: ["/metrics", "/metrics/slis"], verbs: ["get"] }]);
  });
});
