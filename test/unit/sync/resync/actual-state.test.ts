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

test("successful operations change the actual state and its counts, and opposite operations undo them", () => {
  const actual = new ActualState();
  actual.apply([{ kind: "add-entry", entry }]);
  expect([...actual.setMembers]).toEqual([[entry.set, 1]]);
  actual.apply([{ kind: "add-virtual-server", server }]);
  actual.apply([{ kind: "add-real-server", server, real }]);
  actual.apply([{ kind: "update-real-server", server, real: { ...real, weight: 0 } }]);
  actual.apply([{ kind: "bind-address", binding: "address", address: vip }]);
  expect(actual.counts()).toEqual({ virtualServers: 1, realServers: 1, addresses: 1, entries: 1 });
  expect(actual.server(server.key)?.reals.get(real.key)?.weight).toBe(0);
  expect([[...actual.serversAt(vip)], [...actual.serversOnPort(80)]]).toEqual([[server.key], [server.key]]);
  actual.apply([{ kind: "unbind-address", binding: "address", address: vip }]);
  actual.apply([{ kind: "delete-real-server", server, real }]);
  actual.apply([{ kind: "delete-virtual-server", server }]);
  actual.apply([{ kind: "delete-entry", entry }]);
  actual.apply([{ kind: "delete-entry", entry }]);
  expect([...actual.setMembers]).toEqual([[entry.set, 0]]);
  expect(actual.counts()).toEqual({ virtualServers: 0, realServers: 0, addresses: 0, entries: 0 });
  expect([...actual.serversAt(vip), ...actual.serversOnPort(80)]).toEqual([]);
});

test("deleting a virtual server deletes its real servers", () => {
  const actual = new ActualState();
  actual.setServer(server.key, { server, reals: RealServers.of([real]) });
  expect(actual.counts().realServers).toBe(1);
  actual.apply([{ kind: "delete-virtual-server", server }]);
  expect(actual.counts().realServers).toBe(0);
});

test("setting a virtual server replaces its former value and real servers", () => {
  const actual = new ActualState();
  actual.setServer(server.key, { server, reals: RealServers.of([real]) });
  actual.setServer(server.key, { server: { ...server, persistenceSeconds: 9 }, reals: RealServers.NONE });
  expect(actual.server(server.key)).toEqual({ server: { ...server, persistenceSeconds: 9 }, reals: RealServers.NONE });
  actual.setServer(server.key, undefined);
  expect(actual.counts()).toEqual({ virtualServers: 0, realServers: 0, addresses: 0, entries: 0 });
});
