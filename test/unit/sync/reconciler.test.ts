import { beforeEach, describe, expect, test } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { type Scheduler, type VirtualServerKey, virtualServer } from "../../../src/model/kernel/ipvs.ts";
import { NO_KEYS } from "../../../src/model/kernel/keys.ts";
import { RealServers } from "../../../src/model/kernel/real-servers.ts";
import { MemoryKernel } from "../../support/memory-kernel/memory-kernel.ts";
import { address, network, realServer } from "../../support/objects/desired.ts";
import { smallServiceState } from "../../support/worlds/naive-node.ts";
import { FOREIGN, SyncWorld, steppedSync } from "../../support/worlds/sync-world.ts";
import { POD1, tcp, udp, VIP, WEB, web } from "../../support/worlds/web-service.ts";

const NOW = () => 1_000_000;

let world: SyncWorld;

beforeEach(async () => {
  world = await SyncWorld.create();
});

describe("programming", () => {
  test("a new Service is added from the set member to the address", async () => {
    world.change("a/web", web([0]));
    expect(await world.syncTexts()).toEqual([
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
    expect(await world.syncTexts()).toEqual([
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
    kernel.meddle({ kind: "bind-address", binding: "address", address: address("10.96.0.9") });
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
    world.kernel.meddle({ kind: "unbind-address", binding: "address", address: address("10.96.0.2") });
    world.kernel.meddle({ kind: "bind-address", binding: "address", address: address("10.96.0.7") });
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
    world.connect(1, POD1, "TCP/10.96.0.1:53" as VirtualServerKey);
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
