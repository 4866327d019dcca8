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
import { type SmallPort, type SmallService, smallWants } from "../../support/worlds/naive-node.ts";
import { DRAIN_TIMEOUT_MS, FOREIGN, SyncWorld, steppedSync } from "../../support/worlds/sync-world.ts";

const WEB = serviceName("a", "web");
const tcp = (port: number, nodePort = 0): SmallPort => ({ protocol: "TCP", port, nodePort });
const udp = (port: number): SmallPort => ({ protocol: "UDP", port, nodePort: 0 });

/** On 10.96.0.1, with pods 10.244.0.1 and on. */
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

async function flushed(): Promise<string[]> {
  return texts(await world.flush());
}

describe("programming", () => {
  test("a new Service is made from the member to the address", async () => {
    world.change("a/web", web([0]));
    expect(await flushed()).toEqual([
      'add-entry member "10.96.0.1,tcp:80" of set "KUBE-CLUSTER-IP"',
      'add-entry member "10.96.0.1" of set "KUBE-IPVS-IPS"',
      'add-virtual-server virtual server "TCP/10.96.0.1:80"',
      'add-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
      'bind-address address "10.96.0.1"',
    ]);
    world.expectRight();
  });

  test("a deleted Service without connections is taken away in one flush, from the address to the member", async () => {
    world.change("a/web", web([0]));
    await world.flush();
    world.change("a/web", undefined);
    expect(await flushed()).toEqual([
      'update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
      'unbind-address address "10.96.0.1"',
      'delete-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
      'delete-virtual-server virtual server "TCP/10.96.0.1:80"',
      'delete-entry member "10.96.0.1" of set "KUBE-IPVS-IPS"',
      'delete-entry member "10.96.0.1,tcp:80" of set "KUBE-CLUSTER-IP"',
    ]);
    world.expectRight();
  });

  test("a flush takes whole Services in their order until it has some 2,000 operations, and says that it was cut", async () => {
    await world.flush();
    const names = Array.from({ length: 700 }, (_, index) => index);
    for (const index of names) {
      const server = virtualServer("TCP", address("10.96.0.1"), 1_000 + index, { scheduler: "rr" as Scheduler });
      const reals = RealServers.of([0, 1, 2].map((pod) => ({ address: address(`10.244.1.${pod}`), port: 80 })));
      const service = serviceName("a", `s${index}`);
      const wanted = { server, reals, service, precedence: 0 as const, entries: [], counterparts: [] };
      world.loop.mark(world.desired.replace(service, { servers: [wanted], addresses: [], entries: [] }));
    }
    expect((await world.flush()).length).toBe(2_000);
    expect(world.lastSync).toMatchObject({ cut: true, pending: 200, clean: true });
    const programmed = [...world.memory.servers().values()].filter(({ server }) => !FOREIGN.has(server.key));
    expect(programmed.map(({ server, reals }) => [server.port, reals.size])).toEqual(
      names.slice(0, 500).map((index) => [1_000 + index, 3]),
    );
    await world.flush();
    expect(world.lastSync).toMatchObject({ cut: false, pending: 0 });
    expect(world.desired.counts()).toEqual(world.reconciler.state().actual);
  });

  test("changes while the kernel cannot be asked are not queued: they cost one comparison, and count as pending since the first", async () => {
    world.change("a/web", web([0]));
    await world.flush();
    world.memory.failReads(1);
    world.memory.loseTransportAfter(0);
    world.change("a/web", web([1]));
    await world.flush();
    const sinceMs = world.nowMs;
    for (let round = 0; round < 3_000; round++) {
      world.nowMs += 1_000;
      world.change(`a/gone${round}`, web([round % 3], [tcp(2_000 + round)]));
      world.change(`a/gone${round}`, undefined);
      if (round === 0) await world.flush();
    }
    world.change("a/last", web([2], [tcp(81)]));
    expect(world.reconciler.state().oldestPendingMs).toBe(sinceMs);
    await world.flush();
    expect(world.lastSync).toMatchObject({ cut: false, pending: 0 });
    world.quiet();
    await world.settle();
    world.expectRight();
  });

  test("nothing is written before open, and what was found is judged only then", async () => {
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

  test("a sync during a sync is a bug, and the second rejects", async () => {
    await world.loop.resync();
    const first = world.loop.sync();
    await expect(world.loop.sync()).rejects.toThrow("another sync is running");
    await first;
  });

  test("a resync during a resync is a bug, and the second rejects", async () => {
    const first = world.loop.resync();
    await expect(world.loop.resync()).rejects.toThrow("another resync is running");
    await first;
  });
});

describe("draining", () => {
  test("a TCP real server with connections stays at weight 0 and goes when they have ended", async () => {
    world.change("a/web", web([0, 1]));
    await world.flush();
    connect(1);
    world.change("a/web", web([1]));
    expect(await flushed()).toEqual(['update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.reconciler.state().drainingRealServers).toBe(1);
    await world.look();
    expect(await flushed(), "it is not written to again").toEqual([]);
    connect(0);
    expect(world.loop.workAtMs()).toBe(world.nowMs + 5_000);
    world.nowMs += 5_000;
    expect(await flushed()).toEqual(['delete-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    world.expectRight();
  });

  test("a real server goes at the time limit whatever its connections, counted from when it began to drain", async () => {
    world.change("a/web", web([0, 1]));
    await world.flush();
    connect(1);
    world.change("a/web", web([1]));
    await world.flush();
    for (let waitedMs = 5_000; waitedMs < DRAIN_TIMEOUT_MS; waitedMs += 5_000) {
      world.nowMs += 5_000;
      world.change("a/web", { ...web([1]), affinity: waitedMs % 10_000 === 0 });
      await world.flush();
      expect(world.memory.servers().get(VIP)?.reals.has(POD1), `after ${waitedMs} ms`).toBe(true);
    }
    world.nowMs += 5_000;
    await world.flush();
    expect(world.memory.servers().get(VIP)?.reals.has(POD1)).toBe(false);
  });

  test("a returning endpoint gets its weight back without being deleted", async () => {
    world.change("a/web", web([0, 1]));
    await world.flush();
    connect(1);
    world.change("a/web", web([1]));
    await world.flush();
    world.change("a/web", web([0, 1]));
    expect(await flushed()).toEqual(['update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.memory.connectionsOf(VIP, POD1).active).toBe(1);
    world.expectRight();
  });

  test("UDP real servers go at once", async () => {
    world.change("a/dns", web([0, 1], [udp(53)]));
    await world.flush();
    connect(1, POD1, "UDP/10.96.0.1:53" as VirtualServerKey);
    world.change("a/dns", web([1], [udp(53)]));
    expect(await flushed()).toEqual([
      'delete-real-server real server "10.244.0.1:8080" of "UDP/10.96.0.1:53"',
      'forget-flows flows to "UDP/10.96.0.1:53"',
    ]);
  });

  test("a deleted Service with one connection keeps address, virtual servers and members until it ends", async () => {
    world.change("a/web", web([0, 1], [tcp(80), udp(53)]));
    await world.flush();
    connect(1, POD2);
    world.change("a/web", undefined);
    await world.flush();
    const drained = [
      "-A -t 10.96.0.1:80 -s rr",
      "-a -t 10.96.0.1:80 -r 10.244.0.2:8080 -m -w 0",
      "-A -u 10.96.0.1:53 -s rr",
    ];
    expect(world.ourServers()).toEqual(drained);
    expect(world.memory.addresses()).toEqual(["10.96.0.1"]);
    expect(world.memory.members()).toHaveLength(3);
    world.restart();
    await world.flush();
    expect(world.ourServers(), "a restart goes on draining").toEqual(drained);
    connect(0, POD2);
    world.nowMs += 5_000;
    await world.flush();
    world.expectRight();
  });

  test("a deleted Service that returns while it drains is revived in place", async () => {
    world.change("a/web", web([0]));
    await world.flush();
    connect(1);
    world.change("a/web", undefined);
    await world.flush();
    world.change("a/web", web([0, 1]));
    expect(await flushed()).toEqual([
      'add-real-server real server "10.244.0.2:8080" of "TCP/10.96.0.1:80"',
      'update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"',
    ]);
    world.expectRight();
  });

  test("without a drain time real servers are deleted at once", async () => {
    const kernel = new MemoryKernel();
    await kernel.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
    const desired = new DesiredState();
    const { loop } = steppedSync(kernel, desired, NOW, { drainTimeoutMs: 0 });
    loop.open();
    loop.mark(desired.replace(WEB, smallWants(WEB, web([0]))));
    await loop.sync();
    kernel.setConnections(VIP, POD1, { active: 9, inactive: 0 });
    loop.mark(desired.replace(WEB, undefined));
    await loop.sync();
    expect([kernel.ipvsadm(), kernel.addresses(), kernel.members()]).toEqual(["", [], []]);
  });

  test("a real server that someone deletes while it drains drains no longer once it was looked at", async () => {
    world.change("a/web", web([0]));
    await world.flush();
    connect(1);
    world.change("a/web", undefined);
    await world.flush();
    const state = world.memory.servers().get(VIP);
    if (state !== undefined) world.kernel.meddle({ kind: "delete-virtual-server", server: state.server });
    await world.look();
    expect(world.reconciler.state().drainingRealServers).toBe(0);
    await world.settle();
    world.expectRight();
  });

  test("a draining virtual server that someone deletes is noticed when its connections are counted", async () => {
    world.change("a/web", web([0]));
    await world.flush();
    connect(1);
    world.change("a/web", undefined);
    await world.flush();
    const state = world.memory.servers().get(VIP);
    if (state !== undefined) world.kernel.meddle({ kind: "delete-virtual-server", server: state.server });
    await world.settle();
    world.expectRight();
    expect(world.kernel.wholeLooks).toBe(1);
  });
});

describe("refusals", () => {
  test("a refused object is tried again after 1, 2, 4 seconds, and holds nobody up", async () => {
    world.memory.refuse(({ kind }) => kind === "add-real-server", "ENOMEM", 3);
    world.change("a/web", web([0]));
    world.change("b/two", { ...web([]), ip: 1 });
    await world.flush();
    expect(world.memory.addresses()).toEqual(["10.96.0.1", "10.96.0.2"]);
    const waits: number[] = [];
    while (world.reconciler.state().failedObjects > 0) {
      waits.push(world.loop.workAtMs() - world.nowMs);
      world.nowMs = world.loop.workAtMs();
      await world.flush();
    }
    expect(waits).toEqual([1_000, 2_000, 4_000]);
    world.expectRight();
  });

  test("a refused object is tried once in a flush, though what it waited for went meanwhile", async () => {
    world.change("a/dns", web([0], [udp(53)]));
    await world.flush();
    world.memory.refuse(({ kind }) => kind === "delete-real-server", "ENOMEM");
    world.change("a/dns", undefined);
    await world.flush();
    const refused = world.lastSync?.operations.filter(({ errno }) => errno !== "");
    expect(refused).toEqual([{ kind: "delete-real-server", errno: "ENOMEM", count: 1 }]);
    world.memory.heal();
    await world.settle();
    world.expectRight();
  });

  test("real servers that miss a refused virtual server are no drift, and wait with it", async () => {
    world.memory.refuse(({ kind }) => kind === "add-virtual-server", "ENOMEM", 1);
    world.change("a/web", web([0, 1]));
    await world.flush();
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
  ])("%s is observed alone, counted and mended at once", async (_, meddling, drift) => {
    world.change("a/web", web([0, 1]));
    await world.flush();
    const server = world.memory.servers().get(VIP)?.server;
    if (server === undefined) throw new Error("Nothing was programmed");
    world.kernel.meddle(meddling(server));
    world.change("a/web", web([1, 2]));
    await world.flush();
    expect(world.loop.workAtMs()).toBe(0);
    await world.flush();
    expect(world.lastSync?.drift).toEqual([drift]);
    await world.settle();
    world.expectRight();
    expect(world.kernel.wholeLooks).toBe(1);
  });

  test("an address that is gone makes the next flush look at everything", async () => {
    world.change("a/web", web([]));
    await world.flush();
    world.kernel.meddle({ kind: "unbind-address", address: address("10.96.0.1") });
    world.change("a/web", undefined);
    await world.flush();
    await world.flush();
    expect(world.kernel.wholeLooks).toBe(2);
    expect(world.lastSync?.drift).toContainEqual({ object: "address", kind: "missing", count: 1 });
    await world.settle();
    world.expectRight();
  });

  test("after a lost transport the next flush looks, counts no drift for what was on its way, and ends the work", async () => {
    world.change("a/web", web([0, 1]));
    world.memory.loseTransportAfter(3);
    await world.flush();
    expect(world.lastSync).toBeUndefined();
    await world.flush();
    expect(world.lastSync).toMatchObject({ clean: true, drift: [], pending: 0 });
    world.expectRight();
  });
});

describe("an exception of our own in a call of the kernel", () => {
  const bug = new TypeError("undefined is not a function");

  test("is no failure of the kernel: a sync rejects with it", async () => {
    world.change("a/web", web([0]));
    world.kernel.onOperation = () => {
      throw bug;
    };
    await expect(world.loop.sync()).rejects.toBe(bug);
  });

  test("is no failure of the kernel: a resync rejects with it", async () => {
    world.kernel.onPart = () => Promise.reject(bug);
    await expect(world.loop.resync()).rejects.toBe(bug);
  });
});

describe("flows", () => {
  const DNS = "UDP/10.96.0.1:53" as VirtualServerKey;
  const SELF = "10.96.0.1:53" as RealServerKey;
  const send = (from: RealServerKey) => world.memory.addFlow({ to: DNS, from });
  const answered = () => world.memory.flows().map(({ from }) => from);

  test("begun before there was a virtual server are forgotten when it and its address are there", async () => {
    send(SELF);
    world.change("a/dns", web([0], [udp(53)]));
    expect((await flushed()).slice(-2)).toEqual([
      'bind-address address "10.96.0.1"',
      'forget-flows flows to "UDP/10.96.0.1:53"',
    ]);
    expect(answered()).toEqual([]);
  });

  test("are forgotten with the last real server and with the whole Service, and those that go right are kept", async () => {
    world.change("a/dns", web([0, 1], [udp(53)]));
    await world.flush();
    send(POD1);
    send(POD2);
    world.change("a/dns", web([1], [udp(53)]));
    await world.flush();
    expect(answered()).toEqual([POD2]);
    world.change("a/dns", web([], [udp(53)]));
    await world.flush();
    expect(answered()).toEqual([]);
    world.change("a/dns", web([1], [udp(53)]));
    await world.flush();
    send(POD2);
    world.change("a/dns", undefined);
    await world.flush();
    expect(answered()).toEqual([]);
  });

  test("begun while the address was refused are forgotten when it is bound at last", async () => {
    world.memory.refuse(({ kind }) => kind === "bind-address", "ENOMEM", 1);
    world.change("a/dns", web([0], [udp(53)]));
    await world.flush();
    send(SELF);
    await world.settle();
    expect(answered()).toEqual([]);
  });

  test("that cannot be forgotten are tried again every five seconds, and hold up nothing", async () => {
    world.memory.refuse(({ kind }) => kind === "forget-flows", "EINVAL", 2);
    send(SELF);
    world.change("a/dns", web([0], [udp(53)]));
    await world.flush();
    expect(world.lastSync).toMatchObject({ clean: false, pending: 0, state: { failedObjects: 0, oldestPendingMs: 0 } });
    world.change("a/web", web([0]));
    await world.flush();
    expect(world.lastSync?.operations.map(({ kind }) => kind)).not.toContain("forget-flows");
    for (const errno of ["EINVAL", ""]) {
      expect(world.loop.workAtMs()).toBe(world.nowMs + 5_000);
      world.nowMs += 5_000;
      await world.flush();
      expect(world.lastSync?.operations).toEqual([{ kind: "forget-flows", errno, count: 1 }]);
    }
    expect(answered()).toEqual([]);
    expect(world.loop.workAtMs()).toBe(Number.POSITIVE_INFINITY);
    world.expectRight();
  });

  test("are judged once more after a restart, as nobody knows whether that was done before", async () => {
    world.change("a/dns", web([0], [tcp(53), udp(53)]));
    await world.flush();
    send(SELF);
    world.restart();
    expect(await flushed()).toEqual(['forget-flows flows to "UDP/10.96.0.1:53"']);
    expect(answered()).toEqual([]);
    expect(await flushed()).toEqual([]);
  });

  test("to what is not ours are never touched", async () => {
    const foreign = virtualServer("UDP", address("192.0.2.1"), 53, { scheduler: "rr" as Scheduler });
    world.kernel.meddle({ kind: "add-virtual-server", server: foreign });
    world.memory.addFlow({ to: foreign.key, from: POD1 });
    world.change("a/dns", web([0], [udp(53)]));
    await world.look();
    await world.settle();
    expect(world.memory.flows()).toEqual([{ to: foreign.key, from: POD1 }]);
  });
});

describe("looking", () => {
  test("what others changed is counted by object and kind, and mended by the next flush", async () => {
    world.change("a/web", web([0, 1]));
    world.change("b/two", { ...web([0]), ip: 1 });
    await world.flush();
    expect(await world.look()).toMatchObject({ first: false, drift: [] });
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
    const drift = (await world.look())?.drift ?? [];
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

  test("a virtual server that the kernel passes over, as one before it went meanwhile, is not taken for missing", async () => {
    for (const port of [53, 54, 55]) world.change(`a/udp-${port}`, web([0], [udp(port)]));
    await world.settle();
    await world.beginLook(2);
    world.change("a/udp-53", undefined);
    await world.flush();
    expect((await world.endLook())?.drift).toEqual([]);
    world.expectRight();
  });

  test("a restart on a kernel that is right writes nothing", async () => {
    world.change("a/web", web([0, 1], [tcp(80, 30001)]));
    await world.flush();
    world.restart();
    expect(await flushed()).toEqual([]);
    world.expectRight();
  });

  test("what lies in excluded networks is never removed, and made others' when unwanted", async () => {
    const kernel = new MemoryKernel();
    await kernel.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
    const desired = new DesiredState();
    const { loop, reconciler } = steppedSync(kernel, desired, NOW, { excludeCIDRs: [network("10.96.0.0/24")] });
    loop.open();
    loop.mark(desired.replace(WEB, smallWants(WEB, web([0]))));
    await loop.sync();
    loop.mark(desired.replace(WEB, undefined));
    await loop.sync();
    expect(kernel.ipvsadm()).toBe("-A -t 10.96.0.1:80 -s rr\n-a -t 10.96.0.1:80 -r 10.244.0.1:8080 -m -w 1");
    expect(kernel.addresses()).toEqual(["10.96.0.1"]);
    expect(kernel.members(), "members of our sets are ours").toEqual([]);
    expect(reconciler.state()).toMatchObject({ foreignServers: 1, actual: { virtualServers: 0, realServers: 0 } });
  });
});

describe("found by the properties", () => {
  test("a real server wanted again while its Service is taken away is not added in the same flush", async () => {
    world.change("b/two", web([1], [tcp(53)]));
    await world.flush();
    world.kernel.onOperation = (count) => {
      if (count === 1) world.change("a/one", web([1], [tcp(53)]));
    };
    world.change("b/two", undefined);
    await world.flush();
    await world.settle();
    world.expectRight();
  });

  test("a virtual server whose Service went while it was added, and whose member was refused, is ours", async () => {
    world.change("a/two", web([], [tcp(53, 30001)]));
    world.memory.refuse(({ kind }) => kind === "add-entry", "ENOMEM", 3);
    world.kernel.onOperation = (count) => {
      if (count === 0) world.change("a/two", undefined);
    };
    await world.flush();
    await world.settle();
    world.expectRight();
  });

  test("a virtual server that waits for its address to go, goes when the address is wanted again after all", async () => {
    world.change("a/web", web([0], [tcp(80), tcp(53)]));
    await world.flush();
    connect(1, POD1, "TCP/10.96.0.1:53" as VirtualServerKey);
    world.change("a/web", undefined);
    await world.flush();
    expect(world.memory.servers().get(VIP)?.reals.size).toBe(0);
    world.change("b/new", web([0], [tcp(53)]));
    await world.flush();
    world.expectRight();
  });
});

test("to mark no keys is no work", async () => {
  await world.flush();
  world.loop.mark(NO_KEYS);
  expect(world.loop.workAtMs()).toBe(Number.POSITIVE_INFINITY);
});
