import { beforeEach, describe, expect, test } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import {
  type RealServerKey,
  type Scheduler,
  type VirtualServer,
  type VirtualServerKey,
  virtualServer,
} from "../../../src/model/kernel/ipvs.ts";
import { NO_KEYS } from "../../../src/model/kernel/keys.ts";
import { describeOperation, type Operation } from "../../../src/model/kernel/operation.ts";
import { RealServers } from "../../../src/model/kernel/real-servers.ts";
import type { DriftCount } from "../../../src/sync/sync-report.ts";
import { MemoryKernel } from "../../support/memory-kernel/memory-kernel.ts";
import { address, network, realServer } from "../../support/objects/desired.ts";
import { type SmallPort, type SmallService, smallServiceState } from "../../support/worlds/naive-node.ts";
import { DRAIN_TIMEOUT_MS, FOREIGN, SyncWorld, steppedSync } from "../../support/worlds/sync-world.ts";

const WEB = serviceName("a", "web");
const tcp = (port: number, nodePort = 0): SmallPort => ({ protocol: "TCP", port, nodePort });
const udp = (port: number): SmallPort => ({ protocol: "UDP", port, nodePort: 0 });

/** A Service at 10.96.0.1, with pods from 10.244.0.1. */
function web(pods: readonly number[], ports: readonly SmallPort[] = [tcp(80)]): SmallService {
  return { ip: 0, ports, pods, affinity: false };
}

const VIP = "TCP/10.96.0.1:80" as VirtualServerKey;
const POD1 = "10.244.0.1:8080" as RealServerKey;
const POD2 = "10.244.0.2:8080" as RealServerKey;

function texts(operations: readonly Operation[]): string[] {
  return operations.map((operation) => `${operation.kind} ${describeOperation(operation)}`);
}

const NOW = () => 1_000_000;

let world: SyncWorld;
const connect = (active: number, real = POD1, key = VIP) =>
  world.memory.setConnections(key, real, { active, inactive: 0 });

beforeEach(async () => {
  world = await SyncWorld.create();
});

async function syncedTexts(): Promise<string[]> {
  return texts(await world.sync());
}

describe("programming", () => {
  test("a new Service is added from the set member to the address", async () => {
    world.change("a/web", web([0]));
    expect(await syncedTexts()).toEqual([
      'add-entry member "10.96.0.1,tcp:80" of set "KUBE-CLUSTER-IP"',
      'add-entry member "10.96.0.1" of set "KUBE-IPVS-IPS"',
      'add-virtual-server virtual server "TCP/10.96.0.1:80"',
      'add-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
      'bind-address address "10.96.0.1"',
      'forget-flows flows to "TCP/10.96.0.1:80"',
    ]);
    world.expectRight();
  });

  test("a deleted Service without connections is removed in one sync, from the address to the set member", async () => {
    world.change("a/web", web([0]));
    await world.sync();
    world.change("a/web", undefined);
    expect(await syncedTexts()).toEqual([
      'update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
      'unbind-address address "10.96.0.1"',
      'delete-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
      'delete-virtual-server virtual server "TCP/10.96.0.1:80"',
      'delete-entry member "10.96.0.1" of set "KUBE-IPVS-IPS"',
      'delete-entry member "10.96.0.1,tcp:80" of set "KUBE-CLUSTER-IP"',
    ]);
    world.expectRight();
  });

  test("a sync takes whole Services in order until it has about 2,000 operations, and reports that it was cut", async () => {
    await world.sync();
    const names = Array.from({ length: 700 }, (_, index) => index);
    for (const index of names) {
      const server = virtualServer("TCP", address("10.96.0.1"), 1_000 + index, { scheduler: "rr" as Scheduler });
      const reals = RealServers.of([0, 1, 2].map((pod) => ({ address: address(`10.244.1.${pod}`), port: 80 })));
      const service = serviceName("a", `s${index}`);
      const wanted = { server, reals, service, precedence: 0 as const, entries: [], counterparts: [] };
      world.loop.mark(world.desired.replace(service, { servers: [wanted], addresses: [], entries: [] }));
    }
    expect((await world.sync()).filter(({ kind }) => kind !== "forget-flows").length).toBe(2_000);
    expect(world.lastSync).toMatchObject({ cut: true, pending: 200, clean: true });
    const programmed = [...world.memory.servers().values()].filter(({ server }) => !FOREIGN.has(server.key));
    expect(programmed.map(({ server, reals }) => [server.port, reals.size])).toEqual(
      names.slice(0, 500).map((index) => [1_000 + index, 3]),
    );
    await world.sync();
    expect(world.lastSync).toMatchObject({ cut: false, pending: 0 });
    expect(world.desired.counts()).toEqual(world.reconciler.state().actual);
  });

  test("changes while kernel requests fail are not queued: they cost one comparison, and are pending since the first", async () => {
    world.change("a/web", web([0]));
    await world.sync();
    world.memory.failReads(1);
    world.memory.loseTransportAfter(0);
    world.change("a/web", web([1]));
    await world.sync();
    const sinceMs = world.nowMs;
    for (let round = 0; round < 3_000; round++) {
      world.nowMs += 1_000;
      world.change(`a/gone${round}`, web([round % 3], [tcp(2_000 + round)]));
      world.change(`a/gone${round}`, undefined);
      if (round === 0) await world.sync();
    }
    world.change("a/last", web([2], [tcp(81)]));
    expect(world.reconciler.state().oldestPendingMs).toBe(sinceMs);
    await world.sync();
    expect(world.lastSync).toMatchObject({ cut: false, pending: 0 });
    world.quiet();
    await world.settle();
    world.expectRight();
  });

  test("nothing is written before open, and the drift of the first resync is computed only then", async () => {
    const kernel = new MemoryKernel();
    await kernel.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
    kernel.meddle({ kind: "bind-address", address: address("10.96.0.9") });
    const desired = new DesiredState();
    const { loop } = steppedSync(kernel, desired, NOW);
    expect(await loop.resync()).toMatchObject({ first: true, drift: [] });
    expect(loop.workAtMs()).toBe(Number.POSITIVE_INFINITY);
    expect(() => loop.sync()).toThrow("Cannot sync before open");
    expect(kernel.addresses()).toEqual(["10.96.0.9"]);
    loop.open();
    await loop.sync();
    expect(kernel.addresses()).toEqual([]);
  });

  test("a sync during a sync is a bug, and the second one rejects", async () => {
    await world.loop.resync();
    const first = world.loop.sync();
    await expect(world.loop.sync()).rejects.toThrow("another sync is running");
    await first;
  });

  test("a resync during a resync is a bug, and the second one rejects", async () => {
    const first = world.loop.resync();
    await expect(world.loop.resync()).rejects.toThrow("another resync is running");
    await first;
  });
});

describe("draining", () => {
  test("a TCP real server with connections stays at weight 0 and is deleted when they have ended", async () => {
    world.change("a/web", web([0, 1]));
    await world.sync();
    connect(1);
    world.change("a/web", web([1]));
    expect(await syncedTexts()).toEqual(['update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.reconciler.state()).toMatchObject({ drainingRealServers: 1, oldestDrainMs: world.nowMs });
    await world.resync();
    expect(await syncedTexts(), "it is not written to again").toEqual([]);
    connect(0);
    expect(world.loop.workAtMs()).toBe(world.nowMs + 5_000);
    world.nowMs += 5_000;
    expect(await syncedTexts()).toEqual(['delete-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.reconciler.state()).toMatchObject({ oldestDrainMs: 0, drainEnds: { idle: 1, timeout: 0 } });
    world.expectRight();
  });

  test("a real server is deleted at the drain limit even with connections, counted from the begin of its drain", async () => {
    world.change("a/web", web([0, 1]));
    await world.sync();
    connect(1);
    world.change("a/web", web([1]));
    await world.sync();
    for (let waitedMs = 5_000; waitedMs < DRAIN_TIMEOUT_MS; waitedMs += 5_000) {
      world.nowMs += 5_000;
      world.change("a/web", { ...web([1]), affinity: waitedMs % 10_000 === 0 });
      await world.sync();
      expect(world.memory.servers().get(VIP)?.reals.has(POD1), `after ${waitedMs} ms`).toBe(true);
    }
    world.nowMs += 5_000;
    await world.sync();
    expect(world.memory.servers().get(VIP)?.reals.has(POD1)).toBe(false);
    expect(world.reconciler.state().drainEnds).toEqual({ idle: 0, timeout: 1 });
  });

  test("a returning endpoint gets its weight back without being deleted", async () => {
    world.change("a/web", web([0, 1]));
    await world.sync();
    connect(1);
    world.change("a/web", web([1]));
    await world.sync();
    world.change("a/web", web([0, 1]));
    expect(await syncedTexts()).toEqual(['update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.memory.connectionsOf(VIP, POD1).active).toBe(1);
    expect(world.reconciler.state().drainEnds).toEqual({ idle: 0, timeout: 0 });
    world.expectRight();
  });

  test("UDP real servers are deleted at once", async () => {
    world.change("a/dns", web([0, 1], [udp(53)]));
    await world.sync();
    connect(1, POD1, "UDP/10.96.0.1:53" as VirtualServerKey);
    world.change("a/dns", web([1], [udp(53)]));
    expect(await syncedTexts()).toEqual([
      'delete-real-server real server "10.244.0.1:8080" of "UDP/10.96.0.1:53"',
      'forget-flows flows to "UDP/10.96.0.1:53"',
    ]);
  });

  test("a deleted Service keeps address, virtual servers and members until its last connection ends", async () => {
    world.change("a/web", web([0, 1], [tcp(80), udp(53)]));
    await world.sync();
    connect(1, POD2);
    world.change("a/web", undefined);
    await world.sync();
    const drained = [
      "-A -t 10.96.0.1:80 -s rr",
      "-a -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 0",
      "-A -u 10.96.0.1:53 -s rr",
    ];
    expect(world.ourServers()).toEqual(drained);
    expect(world.memory.addresses()).toEqual(["10.96.0.1"]);
    expect(world.memory.members()).toHaveLength(3);
    world.restart();
    await world.sync();
    expect(world.ourServers(), "a restart goes on draining").toEqual(drained);
    connect(0, POD2);
    world.nowMs += 5_000;
    await world.sync();
    world.expectRight();
  });

  test("a deleted Service that returns while it drains is restored in place", async () => {
    world.change("a/web", web([0]));
    await world.sync();
    connect(1);
    world.change("a/web", undefined);
    await world.sync();
    world.change("a/web", web([0, 1]));
    expect(await syncedTexts()).toEqual([
      'add-real-server real server "10.244.0.2:8080" of "TCP/10.96.0.1:80"',
      'update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
    ]);
    world.expectRight();
  });

  test("with a drain time of 0 real servers are deleted at once", async () => {
    const kernel = new MemoryKernel();
    await kernel.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
    const desired = new DesiredState();
    const { loop } = steppedSync(kernel, desired, NOW, { drainTimeoutMs: 0 });
    loop.open();
    loop.mark(desired.replace(WEB, smallServiceState(WEB, web([0]))));
    await loop.sync();
    kernel.setConnections(VIP, POD1, { active: 9, inactive: 0 });
    loop.mark(desired.replace(WEB, undefined));
    await loop.sync();
    expect([kernel.ipvsadm(), kernel.addresses(), kernel.members()]).toEqual(["", [], []]);
  });

  test("a draining real server that another program deletes no longer counts as draining after a resync", async () => {
    world.change("a/web", web([0]));
    await world.sync();
    connect(1);
    world.change("a/web", undefined);
    await world.sync();
    const state = world.memory.servers().get(VIP);
    if (state !== undefined) world.kernel.meddle({ kind: "delete-virtual-server", server: state.server });
    await world.resync();
    expect(world.reconciler.state().drainingRealServers).toBe(0);
    await world.settle();
    world.expectRight();
  });

  test("a draining virtual server that another program deletes is detected when its connections are counted", async () => {
    world.change("a/web", web([0]));
    await world.sync();
    connect(1);
    world.change("a/web", undefined);
    await world.sync();
    const state = world.memory.servers().get(VIP);
    if (state !== undefined) world.kernel.meddle({ kind: "delete-virtual-server", server: state.server });
    await world.settle();
    world.expectRight();
    expect(world.kernel.wholeReads).toBe(1);
  });
});

describe("failed operations", () => {
  test("a failed object is retried after 1, 2, 4 seconds, and delays no other Service", async () => {
    world.memory.failOperations(({ kind }) => kind === "add-real-server", "ENOMEM", 3);
    world.change("a/web", web([0]));
    world.change("b/two", { ...web([]), ip: 1 });
    await world.sync();
    expect(world.memory.addresses()).toEqual(["10.96.0.1", "10.96.0.2"]);
    const waits: number[] = [];
    while (world.reconciler.state().failedObjects > 0) {
      waits.push(world.loop.workAtMs() - world.nowMs);
      world.nowMs = world.loop.workAtMs();
      await world.sync();
    }
    expect(waits).toEqual([1_000, 2_000, 4_000]);
    world.expectRight();
  });

  test("a failed object is tried once in a sync, even if the object that it waited for was deleted meanwhile", async () => {
    world.change("a/dns", web([0], [udp(53)]));
    await world.sync();
    world.memory.failOperations(({ kind }) => kind === "delete-real-server", "ENOMEM");
    world.change("a/dns", undefined);
    await world.sync();
    const failed = world.lastSync?.operations.filter(({ errno }) => errno !== "");
    expect(failed).toEqual([{ kind: "delete-real-server", errno: "ENOMEM", count: 1 }]);
    world.memory.heal();
    await world.settle();
    world.expectRight();
  });

  test("real servers of a virtual server that failed are no drift, and are retried with it", async () => {
    world.memory.failOperations(({ kind }) => kind === "add-virtual-server", "ENOMEM", 1);
    world.change("a/web", web([0, 1]));
    await world.sync();
    expect(world.lastSync?.operations).toContainEqual({ kind: "add-real-server", errno: "ESRCH", count: 2 });
    expect(world.loop.workAtMs()).toBe(world.nowMs + 1_000);
    await world.settle();
    world.expectRight();
    expect(world.lastSync?.drift).toEqual([]);
  });

  test.each<[string, (server: VirtualServer) => Operation, DriftCount]>([
    [
      "a virtual server that is gone",
      (server) => ({ kind: "delete-virtual-server", server }),
      { object: "virtual-server", kind: "missing", count: 1 },
    ],
    [
      "a real server that is gone",
      (server) => ({ kind: "delete-real-server", server, real: realServer(address("10.244.0.1"), 8080) }),
      { object: "real-server", kind: "missing", count: 1 },
    ],
    [
      "a real server that is there already",
      (server) => ({ kind: "add-real-server", server, real: realServer(address("10.244.0.3"), 8080, 7) }),
      { object: "real-server", kind: "unwanted", count: 1 },
    ],
  ])("%s is read alone, counted as drift and repaired at once", async (_, meddling, drift) => {
    world.change("a/web", web([0, 1]));
    await world.sync();
    const server = world.memory.servers().get(VIP)?.server;
    if (server === undefined) throw new Error("Nothing was programmed");
    world.kernel.meddle(meddling(server));
    world.change("a/web", web([1, 2]));
    await world.sync();
    expect(world.loop.workAtMs()).toBe(0);
    await world.sync();
    expect(world.lastSync?.drift).toEqual([drift]);
    await world.settle();
    world.expectRight();
    expect(world.kernel.wholeReads).toBe(1);
  });

  test("an address that is gone makes the next sync read the whole kernel", async () => {
    world.change("a/web", web([]));
    await world.sync();
    world.kernel.meddle({ kind: "unbind-address", address: address("10.96.0.1") });
    world.change("a/web", undefined);
    await world.sync();
    await world.sync();
    expect(world.kernel.wholeReads).toBe(2);
    expect(world.lastSync?.drift).toContainEqual({ object: "address", kind: "missing", count: 1 });
    await world.settle();
    world.expectRight();
  });

  test("after a lost transport the next sync resyncs, counts no drift for operations under way, and completes the work", async () => {
    world.change("a/web", web([0, 1]));
    world.memory.loseTransportAfter(3);
    await world.sync();
    expect(world.lastSync).toBeUndefined();
    await world.sync();
    expect(world.lastSync).toMatchObject({ clean: true, drift: [], pending: 0 });
    world.expectRight();
  });
});

describe("a bug that throws in a call of the kernel", () => {
  const bug = new TypeError("undefined is not a function");

  test("is no kernel failure: the sync rejects with it", async () => {
    world.change("a/web", web([0]));
    world.kernel.onOperation = () => {
      throw bug;
    };
    await expect(world.loop.sync()).rejects.toBe(bug);
  });

  test("is no kernel failure: the resync rejects with it", async () => {
    world.kernel.onPart = () => Promise.reject(bug);
    await expect(world.loop.resync()).rejects.toBe(bug);
  });
});

describe("flows", () => {
  const DNS = "UDP/10.96.0.1:53" as VirtualServerKey;
  const SELF = "10.96.0.1:53" as RealServerKey;
  const send = (from: RealServerKey) => world.memory.addFlow({ to: DNS, from });
  const answered = () => world.memory.flows().map(({ from }) => from);

  test("that began before the virtual server existed are deleted after it and its address are added", async () => {
    send(SELF);
    world.change("a/dns", web([0], [udp(53)]));
    expect((await syncedTexts()).slice(-2)).toEqual([
      'bind-address address "10.96.0.1"',
      'forget-flows flows to "UDP/10.96.0.1:53"',
    ]);
    expect(answered()).toEqual([]);
  });

  test("are deleted with the last real server and with the Service, and flows to desired real servers are kept", async () => {
    world.change("a/dns", web([0, 1], [udp(53)]));
    await world.sync();
    send(POD1);
    send(POD2);
    world.change("a/dns", web([1], [udp(53)]));
    await world.sync();
    expect(answered()).toEqual([POD2]);
    world.change("a/dns", web([], [udp(53)]));
    await world.sync();
    expect(answered()).toEqual([]);
    world.change("a/dns", web([1], [udp(53)]));
    await world.sync();
    send(POD2);
    world.change("a/dns", undefined);
    await world.sync();
    expect(answered()).toEqual([]);
  });

  test("that began while the address could not be bound are deleted when it is bound", async () => {
    world.memory.failOperations(({ kind }) => kind === "bind-address", "ENOMEM", 1);
    world.change("a/dns", web([0], [udp(53)]));
    await world.sync();
    send(SELF);
    await world.settle();
    expect(answered()).toEqual([]);
  });

  test("of TCP that left the node while the address was not bound are deleted, and connections are kept", async () => {
    const [frontend, self] = [VIP, "10.96.0.1:80" as RealServerKey];
    const connection = { to: frontend, from: POD2, isReplied: true };
    const flows = [{ to: frontend, from: self }, { to: frontend, from: POD1 }, connection];
    for (const flow of flows) world.memory.addFlow(flow);
    world.change("a/web", web([0]));
    await world.sync();
    expect(world.memory.flows()).toEqual(flows.slice(1));
    world.change("a/web", web([0, 2]));
    world.memory.addFlow({ to: frontend, from: self });
    await world.sync();
    expect(world.memory.flows()).toHaveLength(3);
    world.kernel.meddle({ kind: "unbind-address", address: address("10.96.0.1") });
    await world.resync();
    await world.settle();
    expect(world.memory.flows()).toEqual(flows.slice(1));
  });

  test("that cannot be deleted are retried every five seconds, and delay no other work", async () => {
    world.memory.failOperations(({ kind }) => kind === "forget-flows", "EINVAL", 2);
    send(SELF);
    world.change("a/dns", web([0], [udp(53)]));
    await world.sync();
    expect(world.lastSync).toMatchObject({ clean: false, pending: 0, state: { failedObjects: 0, oldestPendingMs: 0 } });
    world.change("a/web", web([0]));
    await world.sync();
    expect(world.lastSync?.operations.map(({ kind }) => kind)).not.toContain("forget-flows");
    for (const errno of ["EINVAL", ""]) {
      expect(world.loop.workAtMs()).toBe(world.nowMs + 5_000);
      world.nowMs += 5_000;
      await world.sync();
      expect(world.lastSync?.operations).toContainEqual({ kind: "forget-flows", errno, count: 1 });
    }
    expect(answered()).toEqual([]);
    expect(world.loop.workAtMs()).toBe(Number.POSITIVE_INFINITY);
    world.expectRight();
  });

  test("are checked once more after a restart, as the former process may not have checked them", async () => {
    world.change("a/dns", web([0], [tcp(53), udp(53)]));
    await world.sync();
    send(SELF);
    world.restart();
    expect(await syncedTexts()).toEqual([
      'forget-flows flows to "TCP/10.96.0.1:53"',
      'forget-flows flows to "UDP/10.96.0.1:53"',
    ]);
    expect(answered()).toEqual([]);
    expect(await syncedTexts()).toEqual([]);
  });

  test("to a foreign virtual server are never deleted", async () => {
    const foreign = virtualServer("UDP", address("192.0.2.1"), 53, { scheduler: "rr" as Scheduler });
    world.kernel.meddle({ kind: "add-virtual-server", server: foreign });
    world.memory.addFlow({ to: foreign.key, from: POD1 });
    world.change("a/dns", web([0], [udp(53)]));
    await world.resync();
    await world.settle();
    expect(world.memory.flows()).toEqual([{ to: foreign.key, from: POD1 }]);
  });
});

describe("resync", () => {
  test("changes by other programs are counted by object and kind, and repaired by the next sync", async () => {
    world.change("a/web", web([0, 1]));
    world.change("b/two", { ...web([0]), ip: 1 });
    await world.sync();
    expect(await world.resync()).toMatchObject({ first: false, drift: [] });
    const [one, two] = [
      world.memory.servers().get(VIP),
      world.memory.servers().get("TCP/10.96.0.2:80" as VirtualServerKey),
    ];
    if (one === undefined || two === undefined) throw new Error("Nothing was programmed");
    const { server } = one;
    world.kernel.meddle({ kind: "update-virtual-server", server: { ...server, scheduler: "lc" as Scheduler } });
    world.kernel.meddle({ kind: "update-real-server", server, real: realServer(address("10.244.0.1"), 8080, 9) });
    world.kernel.meddle({ kind: "delete-real-server", server, real: realServer(address("10.244.0.2"), 8080) });
    world.kernel.meddle({ kind: "add-real-server", server, real: realServer(address("10.244.0.4"), 8080) });
    world.kernel.meddle({ kind: "delete-virtual-server", server: two.server });
    world.kernel.meddle({ kind: "unbind-address", address: address("10.96.0.2") });
    world.kernel.meddle({ kind: "bind-address", address: address("10.96.0.7") });
    const drift = (await world.resync())?.drift ?? [];
    expect(drift.map(({ object, kind, count }) => `${object} ${kind} ${count}`)).toEqual([
      "virtual-server different 1",
      "real-server different 1",
      "real-server missing 1",
      "real-server unwanted 1",
      "address unwanted 1",
      "virtual-server missing 1",
      "address missing 1",
    ]);
    await world.settle();
    world.expectRight();
  });

  test("a virtual server that the kernel skips, as another one was deleted meanwhile, does not count as missing", async () => {
    for (const port of [53, 54, 55]) world.change(`a/udp-${port}`, web([0], [udp(port)]));
    await world.settle();
    await world.beginResync(2);
    world.change("a/udp-53", undefined);
    await world.sync();
    expect((await world.endResync())?.drift).toEqual([]);
    world.expectRight();
  });

  test("a restart with the desired state in the kernel changes nothing of it", async () => {
    world.change("a/web", web([0, 1], [tcp(80, 30001)]));
    await world.sync();
    world.restart();
    expect(new Set((await world.sync()).map(({ kind }) => kind))).toEqual(new Set(["forget-flows"]));
    world.expectRight();
  });

  test("objects in excluded networks are never removed, and become foreign when they are not desired", async () => {
    const kernel = new MemoryKernel();
    await kernel.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
    const desired = new DesiredState();
    const { loop, reconciler } = steppedSync(kernel, desired, NOW, { excludeCIDRs: [network("10.96.0.0/24")] });
    loop.open();
    loop.mark(desired.replace(WEB, smallServiceState(WEB, web([0]))));
    await loop.sync();
    loop.mark(desired.replace(WEB, undefined));
    await loop.sync();
    expect(kernel.ipvsadm()).toBe("-A -t 10.96.0.1:80 -s rr\n-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1");
    expect(kernel.addresses()).toEqual(["10.96.0.1"]);
    expect(kernel.members(), "members of our sets are ours").toEqual([]);
    expect(reconciler.state()).toMatchObject({ foreignServers: 1, actual: { virtualServers: 0, realServers: 0 } });
  });
});

describe("regressions that the properties found", () => {
  test("a real server that is desired again while its Service is being removed is not added in the same sync", async () => {
    world.change("b/two", web([1], [tcp(53)]));
    await world.sync();
    world.kernel.onOperation = (count) => {
      if (count === 1) world.change("a/one", web([1], [tcp(53)]));
    };
    world.change("b/two", undefined);
    await world.sync();
    await world.settle();
    world.expectRight();
  });

  test("a virtual server whose Service was deleted while it was added, and whose set member failed, is ours", async () => {
    world.change("a/two", web([], [tcp(53, 30001)]));
    world.memory.failOperations(({ kind }) => kind === "add-entry", "ENOMEM", 3);
    world.kernel.onOperation = (count) => {
      if (count === 0) world.change("a/two", undefined);
    };
    await world.sync();
    await world.settle();
    world.expectRight();
  });

  test("a virtual server that waits for its address to be unbound is deleted when the address is desired again", async () => {
    world.change("a/web", web([0], [tcp(80), tcp(53)]));
    await world.sync();
    connect(1, POD1, "TCP/10.96.0.1:53" as VirtualServerKey);
    world.change("a/web", undefined);
    await world.sync();
    expect(world.memory.servers().get(VIP)?.reals.size).toBe(0);
    world.change("b/new", web([0], [tcp(53)]));
    await world.sync();
    world.expectRight();
  });
});

test("marking no keys causes no work", async () => {
  await world.sync();
  world.loop.mark(NO_KEYS);
  expect(world.loop.workAtMs()).toBe(Number.POSITIVE_INFINITY);
});
