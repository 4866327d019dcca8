import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Registry } from "prom-client";
import { expect, onTestFinished, test } from "vitest";
import { Agent } from "../../../src/agent.ts";
import { readConfig } from "../../../src/config/config.ts";
import { NetlinkKernel } from "../../../src/kernel/netlink-kernel.ts";
import { Metrics } from "../../../src/serve/metrics/metrics.ts";
import type { JsonObject } from "../../support/api/store.ts";
import { SILENT_LOGGER } from "../../support/api/worlds/silent-logger.ts";
import { SourceWorld } from "../../support/api/worlds/source-world.ts";
import { until } from "../../support/api/worlds/test-access.ts";
import { Shell } from "../../support/node/shell.ts";
import { heldLines } from "../../support/node/witness.ts";
import { nodeObject, serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { patient } from "../../support/time/patience.ts";

const SERVICES = "/api/v1/services";
const SLICES = "/apis/discovery.k8s.io/v1/endpointslices";
const RESTARTS = 50;

/**
 * The agent in this process, on the kernel of this namespace, with a server on a real socket. Its clock is advanced by
 * hand: with the waits of a real clock fifty restarts take half an hour.
 */
async function agentBefore(world: SourceWorld) {
  const { config } = readConfig({ nodeName: { source: "test", text: "node-1" } });
  const kernel = new NetlinkKernel({ chains: {} });
  const metrics = new Metrics({
    registry: new Registry(),
    families: ["IPv4"],
    marks: 255,
    clock: world.clock,
    netlink: () => kernel.counters,
  });
  const agent = new Agent(config, () => ({ families: ["IPv4"], rules: {}, sysctls: [] }), {
    kernel,
    clock: world.clock,
    logger: SILENT_LOGGER,
    metrics,
    nextTurn: () => setImmediate(),
    missing: () => "",
    apiServers: () => [],
    onHealthChecks: () => {},
    recordEvent: () => {},
    cpuMs: () => 0,
    random: () => 0.5,
  });
  world.onEvent = (event) => agent.accept(event);
  const stop = new AbortController();
  const running = agent.run(stop.signal);
  onTestFinished(async () => {
    stop.abort();
    await running;
    await kernel.remove(["IPv4"]);
    await kernel.close();
  });
}

/** Endpoints on other nodes; endpoints on this node would be in KUBE-LOOP-BACK. */
function elsewhere(...ips: readonly string[]) {
  return ips.map((ip) => ({ ip, node: "node-2" }));
}

/** The parts of the builders' JSON that this test reads. */
interface Said {
  readonly spec: { readonly clusterIP: string };
}
interface SaidSlice {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly endpoints: readonly { readonly addresses: readonly string[] }[];
}

/** The expected kernel state for the objects of the server, as the witnesses print it, computed without our code. */
function truth(world: SourceWorld): readonly string[] {
  const { collections } = world.model.store;
  const slices = [...collections[SLICES].objects.values()] as unknown as readonly SaidSlice[]; // put by this test
  return [...collections[SERVICES].objects.values()]
    .flatMap((object) => {
      const ip = (object as unknown as Said).spec.clusterIP; // put by this test
      const own = slices.filter(
        ({ metadata }) => metadata.labels["kubernetes.io/service-name"] === object.metadata.name,
      );
      const pods = own.flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses));
      return [
        `-A -t ${ip}:80 -s rr`,
        ...pods.map((pod) => `-a -t ${ip}:80 -r ${pod}:8080 -m -w 1`),
        `address ${ip}`,
        `entry KUBE-CLUSTER-IP ${ip},tcp:80`,
        `entry KUBE-IPVS-IPS ${ip}`,
      ];
    })
    .toSorted();
}

test("fifty kills of the server under churn end in the exact state, and cost at most a list each", {
  timeout: patient(240_000),
}, async () => {
  const world = new SourceWorld();
  onTestFinished(() => world.stop());
  await world.serve();
  const { store } = world.model;
  const put = (path: typeof SERVICES | typeof SLICES, object: object) => store.put(path, object as JsonObject); // of the builders
  const churn = (round: number, moment: number) => {
    const number = round * 4 + moment;
    const name = `shop/s${number}`;
    put(SERVICES, serviceObject(name, { ip: `10.97.${number >> 8}.${number & 255}` }));
    put(SLICES, sliceObject(`${name}-1`, { endpoints: elsewhere(`10.244.${round}.1`, `10.244.${round}.2`) }));
    put(
      SLICES,
      sliceObject("shop/steady-1", { endpoints: elsewhere(`10.244.${round}.${moment + 3}`, "10.244.200.1") }),
    );
    // Each server runs for about two rounds.
    store.delete(SERVICES, `shop/s${number - 9}`);
    store.delete(SLICES, `shop/s${number - 9}-1`);
  };
  store.put("/api/v1/nodes", nodeObject("node-1") as unknown as JsonObject);
  put(SERVICES, serviceObject("shop/steady", { ip: "10.97.255.1" }));

  await agentBefore(world);
  const folder = await mkdtemp(join(tmpdir(), "api-restarts-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "kubeconfig"), world.kubeconfig("{}"));
  await world.watch(join(folder, "kubeconfig"));
  await using shell = new Shell();
  const isExact = async () => (await heldLines(shell)).toSorted().join("\n") === truth(world).join("\n");
  const settled = (round: number) =>
    until(`the state after kill ${round}`, async () => (await world.pass()) && (await isExact()));

  await settled(0);
  let forgotten = 0;
  for (let round = 1; round <= RESTARTS; round++) {
    churn(round, 0);
    const restarted = world.restart();
    churn(round, 1);
    if (round % 2 === 0) {
      store.forgetHistory();
      forgotten++;
    }
    await restarted;
    churn(round, 2);
    await settled(round);
  }
  expect((await heldLines(shell)).toSorted()).toEqual(truth(world));
  expect(truth(world).length).toBeGreaterThan(40);
  for (const { resource, lists, endings } of world.source.stats()) {
    expect(lists, resource).toBeLessThanOrEqual(1 + forgotten);
    // A request that a killed server had not processed is sent again, and is not lost.
    expect(endings.get("lost"), resource).toBeGreaterThanOrEqual(0.8 * RESTARTS);
  }
  expect(world.told.faults).toEqual([]);

  for (const path of [SERVICES, SLICES] as const)
    for (const key of [...store.collections[path].objects.keys()]) store.delete(path, key);
  await settled(RESTARTS + 1);
  expect(await heldLines(shell)).toEqual([]);
});
