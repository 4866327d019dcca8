import { beforeEach, describe, expect, test } from "vitest";
import type { VirtualServer } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import type { DriftCount } from "../../../src/sync/sync-report.ts";
import { address, realServer } from "../../support/objects/desired.ts";
import { SyncWorld } from "../../support/worlds/sync-world.ts";
import { udp, VIP, web } from "../../support/worlds/web-service.ts";

let world: SyncWorld;

beforeEach(async () => {
  world = await SyncWorld.create();
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
    world.kernel.meddle({ kind: "unbind-address", binding: "address", address: address("10.96.0.1") });
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
