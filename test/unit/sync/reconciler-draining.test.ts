import { beforeEach, describe, expect, test } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import type { VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { MemoryKernel } from "../../support/memory-kernel/memory-kernel.ts";
import { smallServiceState } from "../../support/worlds/naive-node.ts";
import { DRAIN_TIMEOUT_MS, SyncWorld, steppedSync } from "../../support/worlds/sync-world.ts";
import { POD1, POD2, tcp, udp, VIP, WEB, web } from "../../support/worlds/web-service.ts";

const NOW = () => 1_000_000;

let world: SyncWorld;

beforeEach(async () => {
  world = await SyncWorld.create();
});

describe("draining", () => {
  test("a TCP real server with connections stays at weight 0 and is deleted when they have ended", async () => {
    world.change("a/web", web([0, 1]));
    await world.sync();
    world.connect(1);
    world.change("a/web", web([1]));
    expect(await world.syncTexts()).toEqual(['update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.reconciler.state()).toMatchObject({ drainingRealServers: 1, oldestDrainMs: world.nowMs });
    await world.resync();
    expect(await world.syncTexts(), "it is not written to again").toEqual([]);
    world.connect(0);
    expect(world.loop.workAtMs()).toBe(world.nowMs + 5_000);
    world.nowMs += 5_000;
    expect(await world.syncTexts()).toEqual(['delete-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.reconciler.state()).toMatchObject({ oldestDrainMs: 0, drainEnds: { idle: 1, timeout: 0 } });
    world.expectRight();
  });

  test("a real server is deleted at the drain limit even with connections, counted from the begin of its drain", async () => {
    world.change("a/web", web([0, 1]));
    await world.sync();
    world.connect(1);
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
    world.connect(1);
    world.change("a/web", web([1]));
    await world.sync();
    world.change("a/web", web([0, 1]));
    expect(await world.syncTexts()).toEqual(['update-real-server real server "10.244.0.1:8080" of "TCP/10.96.0.1:80"']);
    expect(world.memory.connectionsOf(VIP, POD1).active).toBe(1);
    expect(world.reconciler.state().drainEnds).toEqual({ idle: 0, timeout: 0 });
    world.expectRight();
  });

  test("UDP real servers are deleted at once", async () => {
    world.change("a/dns", web([0, 1], [udp(53)]));
    await world.sync();
    world.connect(1, POD1, "UDP/10.96.0.1:53" as VirtualServerKey);
    world.change("a/dns", web([1], [udp(53)]));
    expect(await world.syncTexts()).toEqual([
      'delete-real-server real server "10.244.0.1:8080" of "UDP/10.96.0.1:53"',
      'forget-flows flows to "UDP/10.96.0.1:53"',
    ]);
  });

  test("a deleted Service keeps address, virtual servers and members until its last connection ends", async () => {
    world.change("a/web", web([0, 1], [tcp(80), udp(53)]));
    await world.sync();
    world.connect(1, POD2);
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
    world.connect(0, POD2);
    world.nowMs += 5_000;
    await world.sync();
    world.expectRight();
  });

  test("a deleted Service that returns while it drains is restored in place", async () => {
    world.change("a/web", web([0]));
    await world.sync();
    world.connect(1);
    world.change("a/web", undefined);
    await world.sync();
    world.change("a/web", web([0, 1]));
    expect(await world.syncTexts()).toEqual([
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
    world.connect(1);
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
    world.connect(1);
    world.change("a/web", undefined);
    await world.sync();
    const state = world.memory.servers().get(VIP);
    if (state !== undefined) world.kernel.meddle({ kind: "delete-virtual-server", server: state.server });
    await world.settle();
    world.expectRight();
    expect(world.kernel.wholeReads).toBe(1);
  });
});
