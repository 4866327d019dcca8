import { describe, expect, test } from "vitest";
import { familyOf } from "../../../../src/model/address.ts";
import type { Protocol } from "../../../../src/model/cluster/service.ts";
import {
  addressEntry,
  addressPortAddressEntry,
  addressPortEntry,
  addressPortNetworkEntry,
  ipset,
  ipsets,
  markEntry,
  portEntry,
  type SetEntry,
} from "../../../../src/model/kernel/ipset.ts";
import { markedServer, type Scheduler, type VirtualServer, virtualServer } from "../../../../src/model/kernel/ipvs.ts";
import {
  admittedTo,
  isOurs,
  mustOutlive,
  OwnershipTracker,
  provingKeys,
  serversNear,
} from "../../../../src/sync/plan/ownership.ts";
import { address, network } from "../../../support/objects/desired.ts";

const server = (protocol: Protocol, ip: string, port: number) =>
  virtualServer(protocol, address(ip), port, { scheduler: "rr" as Scheduler }); // any word will do

const ACTUAL = {
  addresses: ["10.96.0.1", "fd00::1"],
  entries: [
    addressPortEntry(ipset("KUBE-CLUSTER-IP", "IPv4"), address("10.96.0.9"), "TCP", 80),
    addressPortEntry(ipset("KUBE-CLUSTER-IP", "IPv6"), address("fd00::9"), "UDP", 53),
    portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 30_001),
    portEntry(ipset("KUBE-NODE-PORT-UDP", "IPv4"), 30_002),
    addressPortEntry(ipset("KUBE-NODE-PORT-SCTP-HASH", "IPv4"), address("192.168.1.10"), "SCTP", 30_003),
    addressPortAddressEntry(ipset("KUBE-LOOP-BACK", "IPv4"), address("10.244.0.5"), "TCP", 80, address("10.244.0.5")),
    addressEntry(ipset("KUBE-IPVS-IPS", "IPv4"), address("10.96.0.8")),
    addressPortEntry(ipset("KUBE-EXTERNAL-IP", "IPv4"), address("192.168.1.10"), "TCP", 81),
    addressPortEntry(ipset("KUBE-EXTERNAL-IP-LOCAL", "IPv4"), address("192.168.1.10"), "UDP", 82),
    addressPortEntry(ipset("KUBE-LOAD-BALANCER", "IPv6"), address("fd02::1"), "TCP", 83),
    addressPortEntry(ipset("KUBE-LOAD-BALANCER-FW", "IPv4"), address("192.168.1.10"), "TCP", 84),
    addressPortEntry(ipset("KUBE-DROP", "IPv4"), address("192.168.1.10"), "TCP", 85),
    portEntry(ipset("KUBE-HEALTH-CHECK-NODE-PORT", "IPv4"), 86),
    markEntry(ipset("KUBE-LOCAL-MARK", "IPv4"), address("192.168.1.10"), "TCP", 87, 8, 0x1fff),
    portEntry(ipset("KUBE-LOCAL-MARK-SERVERS", "IPv4"), 7),
    portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 0),
    addressEntry(ipset("KUBE-NODE-PORT-IPS", "IPv4"), address("192.168.1.10")),
  ],
};
const evidence = {
  hasAddress: (ip: string) => ACTUAL.addresses.includes(ip),
  hasEntry: (key: string) => ACTUAL.entries.some((entry) => entry.key === key),
};

describe("the owner of a virtual server", () => {
  test.each<[string, Protocol, string, number, boolean]>([
    ["at an address of kube-ipvs0", "TCP", "10.96.0.1", 9_999, true],
    ["at an IPv6 address of kube-ipvs0", "SCTP", "fd00::1", 80, true],
    ["named by a cluster IP member", "TCP", "10.96.0.9", 80, true],
    ["named by an IPv6 cluster IP member", "UDP", "fd00::9", 53, true],
    ["on another port than the member", "TCP", "10.96.0.9", 81, false],
    ["with another protocol than the member", "UDP", "10.96.0.9", 80, false],
    ["on a TCP node port", "TCP", "192.168.1.10", 30_001, true],
    ["on a TCP node port, at an address that has no node ports", "TCP", "192.0.2.1", 30_001, false],
    ["on a UDP node port, at an address that has no node ports", "UDP", "192.0.2.1", 30_002, false],
    ["on another port of an address with node ports", "TCP", "192.168.1.10", 30_080, false],
    ["on a TCP node port of the other family", "TCP", "fd01::10", 30_001, false],
    ["on a node port of the other protocol", "UDP", "192.168.1.10", 30_001, false],
    ["on a UDP node port", "UDP", "192.168.1.10", 30_002, true],
    ["on an SCTP node port", "SCTP", "192.168.1.10", 30_003, true],
    ["on an SCTP node port of another address", "SCTP", "192.168.1.11", 30_003, false],
    ["on an external IP", "TCP", "192.168.1.10", 81, true],
    ["on an external IP of local endpoints", "UDP", "192.168.1.10", 82, true],
    ["on a load balancer's IPv6 address", "TCP", "fd02::1", 83, true],
    ["named only by a restriction", "TCP", "192.168.1.10", 84, true],
    ["named by a member that drops its packets", "TCP", "192.168.1.10", 85, true],
    ["on a health check node port", "TCP", "192.168.1.10", 86, false],
    ["named only by a member that sets a mark", "TCP", "192.168.1.10", 87, false],
    ["on a port with the number of a mark", "TCP", "192.168.1.10", 7, false],
    ["at the address of an endpoint", "TCP", "10.244.0.5", 80, false],
    ["at an address that is only in a set", "TCP", "10.96.0.8", 80, false],
    ["named by no member", "TCP", "192.0.2.1", 80, false],
  ])("a virtual server %s (%s %s %i): ours is %s", (_, protocol, ip, port, expected) => {
    expect(isOurs(server(protocol, ip, port), evidence, [])).toBe(expected);
  });

  test.each([
    ["IPv4", 7, true],
    ["IPv6", 7, false],
    ["IPv4", 8, false],
    ["IPv4", 0x10007, false],
  ] as const)("a virtual server of %s by firewall mark %i: ours is %s", (family, mark, expected) => {
    const marked = markedServer(family, mark, "TCP", { scheduler: "rr" as Scheduler }); // any word will do
    expect(isOurs(marked, evidence, [])).toBe(expected);
  });

  test("a virtual server in an excluded network is not ours, even if a member names it", () => {
    const excluded = [network("10.96.0.0/16")];
    expect(isOurs(server("TCP", "10.96.0.1", 80), evidence, excluded)).toBe(false);
    expect(isOurs(server("TCP", "fd00::1", 80), evidence, excluded)).toBe(true);
  });
});

describe("the order of deletion", () => {
  const web = server("TCP", "192.0.2.1", 80);
  const nodePort = server("UDP", "192.0.2.1", 30_001);
  const marked = markedServer("IPv6", 7, "TCP", { scheduler: "rr" as Scheduler }); // any word will do
  const actual = {
    serversAt: (ip: string) => (ip === "192.0.2.1" ? [web.key, nodePort.key] : []),
    serversOnPort: (port: number) => (port === 30_001 ? [nodePort.key] : []),
  };
  const range = addressPortNetworkEntry(
    ipset("KUBE-LOAD-BALANCER-SOURCE-CIDR", "IPv4"),
    address("192.0.2.1"),
    "TCP",
    80,
    network("198.51.100.0/24"),
  );
  const self = addressPortAddressEntry(
    ipset("KUBE-LOAD-BALANCER-SOURCE-IP", "IPv4"),
    address("192.0.2.1"),
    "TCP",
    80,
    address("192.0.2.1"),
  );
  const pod = addressPortAddressEntry(
    ipset("KUBE-LOOP-BACK", "IPv4"),
    address("192.0.2.1"),
    "TCP",
    80,
    address("192.0.2.1"),
  );

  test.each<[SetEntry, readonly string[]]>([
    [range, [web.key]],
    [self, [web.key]],
    [addressPortEntry(ipset("KUBE-LOAD-BALANCER-FW", "IPv4"), address("192.0.2.1"), "TCP", 80), [web.key]],
    [addressEntry(ipset("KUBE-NODE-PORT-IPS", "IPv4"), address("192.0.2.1")), [web.key, nodePort.key]],
    [portEntry(ipset("KUBE-NODE-PORT-UDP", "IPv4"), 30_001), [nodePort.key]],
    [portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 30_001), []],
    [portEntry(ipset("KUBE-NODE-PORT-UDP", "IPv6"), 30_001), []],
    [portEntry(ipset("KUBE-LOCAL-MARK-SERVERS", "IPv6"), 7), [marked.key]],
    [portEntry(ipset("KUBE-HEALTH-CHECK-NODE-PORT", "IPv4"), 30_001), []],
    [markEntry(ipset("KUBE-LOCAL-MARK", "IPv4"), address("192.0.2.1"), "TCP", 80, 8, 0x1fff), []],
    [addressEntry(ipset("KUBE-IPVS-IPS", "IPv4"), address("192.0.2.1")), []],
    [pod, []],
  ])("member $key must outlive %j", (entry, expected) => {
    const outlived = [web, nodePort, marked].filter((one) => mustOutlive(entry, one)).map(({ key }) => key);
    expect(outlived).toEqual(expected);
    // Each of these servers must be found.
    expect([...serversNear(entry, actual)]).toEqual(expect.arrayContaining([...expected]));
  });

  test("a member that proves ownership of a virtual server must outlive it", () => {
    for (const one of [web, nodePort, marked, server("SCTP", "fd00::9", 30_003)]) {
      const keys = provingKeys(one);
      const proofs = possibleEntries(one).filter(({ key }) => keys.includes(key));
      expect(keys.length).toBeGreaterThan(0);
      expect(proofs.map(({ key }) => key).sort()).toEqual([...keys].sort());
      for (const entry of proofs) expect([entry.key, mustOutlive(entry, one)]).toEqual([entry.key, true]);
    }
  });

  test("a member that admits clients names their frontend", () => {
    expect([range, self, pod].map(admittedTo)).toEqual([web.key, web.key, undefined]);
  });
});

/** Members of all sets that could name a virtual server. */
function possibleEntries({ address, protocol, port, mark }: VirtualServer): readonly SetEntry[] {
  return ipsets(familyOf(address)).flatMap((set) => [
    addressPortEntry(set, address, protocol, port),
    addressEntry(set, address),
    portEntry(set, mark === 0 ? port : mark),
  ]);
}

describe("OwnershipTracker", () => {
  const nothing = { hasAddress: () => false, hasEntry: () => false };
  const foreign = server("TCP", "192.0.2.1", 80);

  test("a foreign virtual server becomes ours when it is desired, and stays ours until it is deleted", () => {
    const tracker = new OwnershipTracker([]);
    expect(tracker.classify(foreign, false, nothing)).toBe(false);
    expect([...tracker.foreign]).toEqual([foreign.key]);
    expect(tracker.classify(foreign, true, nothing)).toBe(true);
    expect(tracker.classify(foreign, false, nothing)).toBe(true);
    expect(tracker.foreign.size).toBe(0);
    tracker.retain(() => false);
    expect(tracker.classify(foreign, false, nothing)).toBe(false);
  });

  test("a virtual server in an excluded network is ours only while it is desired", () => {
    const tracker = new OwnershipTracker([network("192.0.2.0/24")]);
    expect(tracker.classify(foreign, true, nothing)).toBe(true);
    expect(tracker.classify(foreign, false, nothing)).toBe(false);
    expect([...tracker.foreign]).toEqual([foreign.key]);
  });
});
