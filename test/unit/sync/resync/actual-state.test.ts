import { expect, test } from "vitest";
import { ipset, portEntry } from "../../../../src/model/kernel/ipset.ts";
import { type Scheduler, virtualServer } from "../../../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../../../src/model/kernel/real-servers.ts";
import { ActualState } from "../../../../src/sync/resync/actual-state.ts";
import { address, realServer } from "../../../support/objects/desired.ts";

const vip = address("10.96.0.1");
const server = virtualServer("TCP", vip, 80, { scheduler: "rr" as Scheduler }); // any word will do
const real = realServer(address("10.244.0.1"), 8080);
const entry = portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 30_001);

test("operations that went well are folded in and counted, and undone by their opposites", () => {
  const held = new ActualState();
  held.apply([{ kind: "add-entry", entry }]);
  held.apply([{ kind: "add-virtual-server", server }]);
  held.apply([{ kind: "add-real-server", server, real }]);
  held.apply([{ kind: "update-real-server", server, real: { ...real, weight: 0 } }]);
  held.apply([{ kind: "bind-address", address: vip }]);
  expect(held.counts()).toEqual({ virtualServers: 1, realServers: 1, addresses: 1, entries: 1 });
  expect(held.server(server.key)?.reals.get(real.key)?.weight).toBe(0);
  expect([[...held.serversAt(vip)], [...held.serversOnPort(80)]]).toEqual([[server.key], [server.key]]);
  held.apply([{ kind: "unbind-address", address: vip }]);
  held.apply([{ kind: "delete-real-server", server, real }]);
  held.apply([{ kind: "delete-virtual-server", server }]);
  held.apply([{ kind: "delete-entry", entry }]);
  expect(held.counts()).toEqual({ virtualServers: 0, realServers: 0, addresses: 0, entries: 0 });
  expect([...held.serversAt(vip), ...held.serversOnPort(80)]).toEqual([]);
});

test("deleting a virtual server takes its real servers along", () => {
  const held = new ActualState();
  held.setServer(server.key, { server, reals: RealServers.of([real]) });
  expect(held.counts().realServers).toBe(1);
  held.apply([{ kind: "delete-virtual-server", server }]);
  expect(held.counts().realServers).toBe(0);
});

test("a virtual server that is seen anew replaces all that was held of it", () => {
  const held = new ActualState();
  held.setServer(server.key, { server, reals: RealServers.of([real]) });
  held.setServer(server.key, { server: { ...server, persistenceSeconds: 9 }, reals: RealServers.NONE });
  expect(held.server(server.key)).toEqual({ server: { ...server, persistenceSeconds: 9 }, reals: RealServers.NONE });
  held.setServer(server.key, undefined);
  expect(held.counts()).toEqual({ virtualServers: 0, realServers: 0, addresses: 0, entries: 0 });
});
