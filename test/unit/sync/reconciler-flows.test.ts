import { beforeEach, describe, expect, test } from "vitest";
import {
  type RealServerKey,
  type Scheduler,
  type VirtualServerKey,
  virtualServer,
} from "../../../src/model/kernel/ipvs.ts";
import { address } from "../../support/objects/desired.ts";
import { SyncWorld } from "../../support/worlds/sync-world.ts";
import { POD1, POD2, tcp, udp, VIP, web } from "../../support/worlds/web-service.ts";

let world: SyncWorld;

beforeEach(async () => {
  world = await SyncWorld.create();
});

describe("flows", () => {
  const DNS = "UDP/10.96.0.1:53" as VirtualServerKey;
  const SELF = "10.96.0.1:53" as RealServerKey;
  const send = (from: RealServerKey) => world.memory.addFlow({ to: DNS, from });
  const answered = () => world.memory.flows().map(({ from }) => from);

  test("that began before the virtual server existed are deleted after it and its address are added", async () => {
    send(SELF);
    world.change("a/dns", web([0], [udp(53)]));
    expect((await world.syncTexts()).slice(-2)).toEqual([
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
    world.kernel.meddle({ kind: "unbind-address", binding: "address", address: address("10.96.0.1") });
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
    expect(await world.syncTexts()).toEqual([
      'forget-flows flows to "TCP/10.96.0.1:53"',
      'forget-flows flows to "UDP/10.96.0.1:53"',
    ]);
    expect(answered()).toEqual([]);
    expect(await world.syncTexts()).toEqual([]);
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
