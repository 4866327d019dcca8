import { expect, test } from "vitest";
import type { IPFamily } from "../../../../src/model/address.ts";
import type { Protocol } from "../../../../src/model/cluster/service.ts";
import {
  markedServer,
  markedServerKey,
  parseVirtualServerKey,
  type Scheduler,
  sameVirtualServer,
  type VirtualServer,
  virtualServer,
  virtualServerKey,
} from "../../../../src/model/kernel/ipvs.ts";
import { type Changed, countingFields } from "../../../support/hostile/counting-fields.ts";
import { address } from "../../../support/objects/desired.ts";

const RR = { scheduler: "rr" as Scheduler }; // any word will do

test.each<[Protocol, string, number, string]>([
  ["TCP", "10.96.0.1", 443, "TCP/10.96.0.1:443"],
  ["UDP", "fd00::a", 53, "UDP/[fd00::a]:53"],
  ["SCTP", "::", 0, "SCTP/[::]:0"],
])("a key by address contains its parts: %s %s %i", (protocol, ip, port, key) => {
  expect(virtualServerKey(protocol, address(ip), port)).toBe(key);
  expect(parseVirtualServerKey(virtualServer(protocol, address(ip), port, RR).key)).toEqual({
    protocol,
    address: ip,
    port,
    mark: 0,
  });
});

test.each<[IPFamily, number, string, string]>([
  ["IPv4", 7, "FWM/IPv4/7", "0.0.0.0"],
  ["IPv6", 0xffffffff, "FWM/IPv6/4294967295", "::"],
])("a key by firewall mark contains family and mark: %s %i", (family, mark, key, unspecified) => {
  expect(markedServerKey(family, mark)).toBe(key);
  const { protocol, address: ip, port, mark: held } = markedServer(family, mark, "UDP", RR);
  expect([protocol, ip, port, held]).toEqual(["UDP", unspecified, 0, mark]);
  expect(parseVirtualServerKey(markedServerKey(family, mark))).toEqual({
    protocol: "TCP",
    address: unspecified,
    port: 0,
    mark,
  });
});

test("two virtual servers of one firewall mark are the same for all protocols", () => {
  const [tcp, udp] = [markedServer("IPv4", 7, "TCP", RR), markedServer("IPv4", 7, "UDP", RR)];
  expect(sameVirtualServer(tcp, udp)).toBe(true);
  expect(sameVirtualServer(tcp, { ...udp, scheduler: "sh" as Scheduler })).toBe(false); // any word will do
});

test("virtual servers are compared by the fields that the kernel keeps beside the key", () => {
  const changed: Changed<VirtualServer> = {
    key: markedServerKey("IPv4", 8),
    protocol: "UDP",
    address: address("10.96.0.2"),
    port: 81,
    mark: 8,
    scheduler: "sh" as Scheduler,
    flags: ["sh-port"],
    persistenceSeconds: 20,
    persistencePrefix: 24,
    drainTimeoutMs: 1,
  };
  const base = virtualServer("TCP", address("10.96.0.1"), 80, RR);
  expect(countingFields(sameVirtualServer, base, changed)).toEqual(["key", "scheduler", "flags", "persistenceSeconds"]);
  const persistent = { ...base, persistenceSeconds: 10 };
  expect(countingFields(sameVirtualServer, persistent, changed)).toContain("persistencePrefix");
});
