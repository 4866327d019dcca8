import { beforeEach, expect, test } from "vitest";
import type { DesiredServer, DesiredService } from "../../../src/desired/service/desired-service.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { addressPortEntry, ipset, markEntry, portEntry, type SetEntry } from "../../../src/model/kernel/ipset.ts";
import {
  markedServer,
  type RealServerKey,
  type Scheduler,
  type VirtualServer,
  virtualServer,
} from "../../../src/model/kernel/ipvs.ts";
import { describeOperation } from "../../../src/model/kernel/operation.ts";
import { RealServers } from "../../../src/model/kernel/real-servers.ts";
import { address } from "../../support/objects/desired.ts";
import { DRAIN_TIMEOUT_MS, SyncWorld } from "../../support/worlds/sync-world.ts";

const RR = { scheduler: "rr" as Scheduler }; // any word will do
const WEB = serviceName("a", "web");
const VIP = address("192.0.2.10");
const MARKED = markedServer("IPv4", 5, "TCP", RR).key;
const POD1 = "10.244.0.1:80" as RealServerKey; // as realServerKey spells it
const pods = (...hosts: readonly number[]) =>
  RealServers.of(hosts.map((host) => ({ address: address(`10.244.0.${host}`), port: 80 })));

/** A frontend with pod 1. Clients on this node reach pods 1 and 2 by their mark; `mark` 0: they have none. */
function exposed(mark: number): DesiredService {
  const external = addressPortEntry(ipset("KUBE-EXTERNAL-IP-LOCAL", "IPv4"), VIP, "TCP", 80);
  const byAddress = virtualServer("TCP", VIP, 80, RR);
  if (mark === 0) return serviceOf([desiredServer(byAddress, pods(1), [external])]);
  const byMark = markedServer("IPv4", mark, "TCP", RR);
  return serviceOf([
    { ...desiredServer(byAddress, pods(1), [external, markMember(mark)]), counterparts: [byMark.key] },
    { ...desiredServer(byMark, pods(1, 2), [markServerMember(mark)]), counterparts: [byAddress.key] },
  ]);
}

function desiredServer(server: VirtualServer, reals: RealServers, entries: readonly SetEntry[]): DesiredServer {
  return { server, reals, service: WEB, precedence: 0, entries, counterparts: [] };
}

function serviceOf(servers: readonly DesiredServer[]): DesiredService {
  return { servers, addresses: [], entries: [] };
}

function markServerMember(mark: number): SetEntry {
  return portEntry(ipset("KUBE-LOCAL-MARK-SERVERS", "IPv4"), mark);
}

function markMember(mark: number): SetEntry {
  return markEntry(ipset("KUBE-LOCAL-MARK", "IPv4"), VIP, "TCP", 80, mark, 0x107f);
}

let world: SyncWorld;
beforeEach(async () => {
  world = await SyncWorld.create();
});

/** The operations of a sync that concern marks, abbreviated. */
async function syncedMarks(state: DesiredService | undefined): Promise<readonly string[]> {
  world.loop.mark(world.desired.replace(WEB, state));
  const done = (await world.sync()).map((operation) => `${operation.kind} ${describeOperation(operation)}`);
  return (
    done
      .filter((line) => /FWM|MARK/.test(line))
      .map((line) => line.replace(/(member|set|virtual server|real server|of) /g, "").replaceAll('"', ""))
      // In any order.
      .map((line) => line.replace(/^add-real-server \S+/, "add-real-server any"))
  );
}

const ADDED = (mark: number) => [
  `add-entry ${mark} KUBE-LOCAL-MARK-SERVERS`,
  `add-virtual-server FWM/IPv4/${mark}`,
  `add-real-server any FWM/IPv4/${mark}`,
  `add-real-server any FWM/IPv4/${mark}`,
  `add-entry 192.0.2.10,tcp:80 skbmark 0x${mark}/0x107f KUBE-LOCAL-MARK`,
];

test("a mark is added only after its virtual server has its real servers", async () => {
  expect(await syncedMarks(exposed(5))).toEqual(ADDED(5));
});

test("a mark is deleted at once, so that new clients are served by address, and its virtual server drains as one of ours", async () => {
  await syncedMarks(exposed(5));
  world.memory.setConnections(MARKED, POD1, { active: 1, inactive: 0 });
  expect(await syncedMarks(exposed(0))).toEqual([
    "delete-entry 192.0.2.10,tcp:80 skbmark 0x5/0x107f KUBE-LOCAL-MARK",
    "update-real-server 10.244.0.1:80 FWM/IPv4/5",
    "update-real-server 10.244.0.2:80 FWM/IPv4/5",
    "delete-real-server 10.244.0.2:80 FWM/IPv4/5",
  ]);
  expect(world.memory.members()).toContain("KUBE-LOCAL-MARK-SERVERS 5");
  world.nowMs += DRAIN_TIMEOUT_MS;
  expect(await syncedMarks(exposed(0))).toEqual([
    "delete-real-server 10.244.0.1:80 FWM/IPv4/5",
    "delete-virtual-server FWM/IPv4/5",
    "delete-entry 5 KUBE-LOCAL-MARK-SERVERS",
  ]);
});

test("a new mark of a frontend is added after the old one is deleted and its own virtual server is ready", async () => {
  await syncedMarks(exposed(5));
  const done = await syncedMarks(exposed(6));
  expect(done[0]).toBe("delete-entry 192.0.2.10,tcp:80 skbmark 0x5/0x107f KUBE-LOCAL-MARK");
  expect(done.filter((line) => line.includes("6"))).toEqual(ADDED(6));
  expect(world.reconciler.state().failedObjects).toBe(0);
});

test("a mark that another program gave the frontend is found by a resync and repaired", async () => {
  await syncedMarks(exposed(5));
  world.memory.meddle({ kind: "delete-entry", entry: markMember(5) });
  world.memory.meddle({ kind: "add-entry", entry: markMember(9) });
  await world.resync();
  await world.sync();
  expect(world.memory.members().filter((member) => member.includes("skbmark"))).toEqual([
    "KUBE-LOCAL-MARK 192.0.2.10,tcp:80 skbmark 0x5/0x107f",
  ]);
});

test("after a restart a marked virtual server of ours that is not desired is deleted, and a foreign one stays", async () => {
  await syncedMarks(exposed(5));
  const others = markedServer("IPv4", 7, "TCP", RR);
  world.memory.meddle({ kind: "add-virtual-server", server: others });
  world.restart();
  await syncedMarks(exposed(0));
  await world.settle();
  expect([...world.memory.servers().keys()].filter((key) => key.startsWith("FWM"))).toEqual([others.key]);
  expect(world.memory.members()).toEqual(["KUBE-EXTERNAL-IP-LOCAL 192.0.2.10,tcp:80"]);
});

/** A UDP frontend with these pods by address and those pods by mark. */
function exposedUDP(byAddress: readonly number[], byMark: readonly number[]): DesiredService {
  const frontend = virtualServer("UDP", VIP, 53, RR);
  const marked = markedServer("IPv4", 5, "UDP", RR);
  const members = [
    addressPortEntry(ipset("KUBE-EXTERNAL-IP-LOCAL", "IPv4"), VIP, "UDP", 53),
    markEntry(ipset("KUBE-LOCAL-MARK", "IPv4"), VIP, "UDP", 53, 5, 0x107f),
  ];
  return serviceOf([
    { ...desiredServer(frontend, pods(...byAddress), members), counterparts: [marked.key] },
    { ...desiredServer(marked, pods(...byMark), [markServerMember(5)]), counterparts: [frontend.key] },
  ]);
}

test.each([
  ["an endpoint by mark is deleted", [1, 3], [1], ["10.244.0.1:80", "10.244.0.3:80"]],
  ["an endpoint by address is deleted", [1], [1, 2], ["10.244.0.1:80", "10.244.0.2:80"]],
  ["an endpoint of both is deleted", [3], [2], ["10.244.0.2:80", "10.244.0.3:80"]],
])("when %s, flows of the frontend to an endpoint by mark or by address stay", async (_, byAddress, byMark, left) => {
  const to = virtualServer("UDP", VIP, 53, RR).key;
  const all = pods(1, 2, 3).list();
  await syncedMarks(exposedUDP([1, 3], [1, 2]));
  for (const { key: from } of all) world.memory.addFlow({ to, from });
  await syncedMarks(exposedUDP(byAddress, byMark));
  expect(world.memory.flows().map(({ from }) => from)).toEqual(left);
});
