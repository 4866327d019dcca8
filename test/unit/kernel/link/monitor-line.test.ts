import fc from "fast-check";
import { expect, test } from "vitest";
import { parseMonitorLine } from "../../../../src/kernel/link/monitor.ts";
import { parseAddress } from "../../../../src/model/address.ts";

const FOREVER = "\\       valid_lft forever preferred_lft forever";

// As iproute2 6.1 prints them.
test.each([
  [`90: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0${FOREVER}`, "appeared", "kube-ipvs0", "10.96.0.1"],
  [
    `Deleted 90: kube-ipvs0    inet 10.96.0.1/32 scope global kube-ipvs0${FOREVER}`,
    "vanished",
    "kube-ipvs0",
    "10.96.0.1",
  ],
  [`1: lo    inet6 fd00:9::2/64 scope global nodad ${FOREVER}`, "appeared", "lo", "fd00:9::2"],
  [`Deleted 1: lo    inet6 fd00:9::2/64 scope global nodad ${FOREVER}`, "vanished", "lo", "fd00:9::2"],
  [`7: ppp0    inet 10.0.0.1 peer 10.0.0.2/32 scope global ppp0${FOREVER}`, "appeared", "ppp0", "10.0.0.1"],
  [`3: eth0    inet6 fe80::1/64 scope link tentative ${FOREVER}`, "appeared", "eth0", "fe80::1"],
  [
    "4: eth0    inet 192.168.1.10/24 metric 100 brd 192.168.1.255 scope global dynamic eth0\\       valid_lft 86400sec",
    "appeared",
    "eth0",
    "192.168.1.10",
  ],
])("the line of a monitor is read: %s", (line, kind, link, address) => {
  expect(parseMonitorLine(line)).toEqual({ kind, link, address });
});

test.each([
  "",
  "Timestamp: Sat Nov 21 07:00:00 2026",
  "9: eth0    inet 10.0.0.999/24 scope global eth0",
  "netlink receive error",
])("the line %j has no address", (line) => {
  expect(parseMonitorLine(line)).toBeUndefined();
});

test("a line with any text after the interface name is an address or nothing", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const change = parseMonitorLine(`1: lo    inet ${text}`);
      if (change === "other") throw new Error("A line of an address is taken for a route");
      expect(change === undefined || parseAddress(change.address) === change.address).toBe(true);
    }),
  );
});

// As iproute2 6.1 prints them; with a name of the protocol, or without names of tables, as another host does.
test.each([
  ["local 10.96.0.1 dev lo table local proto 173 scope host metric 173 ", "appeared", "10.96.0.1"],
  ["Deleted local 10.96.0.1 dev lo table local proto 173 scope host metric 173 ", "vanished", "10.96.0.1"],
  ["Deleted local fd00:96::7 dev lo table local proto 173 metric 173 pref medium", "vanished", "fd00:96::7"],
  ["local fd00:96::7 dev lo table 255 proto kube-ipvs metric 173 pref medium", "appeared", "fd00:96::7"],
])("the line of a route of the agent is read: %s", (line, kind, address) => {
  expect(parseMonitorLine(line)).toEqual({ kind, link: "lo", address, isRoute: true });
});

test.each([
  "local 10.96.0.8 dev kube-ipvs0 table local proto kernel scope host src 10.96.0.8 ",
  "Deleted local fd00:96::8 dev kube-ipvs0 table local proto kernel metric 0 pref medium",
  "local 10.96.0.9 dev lo table local proto openr scope host ",
  "local 10.96.0.9 dev lo table main proto 173 scope host metric 173 ",
  "local 10.96.0.9 dev lo table local proto 1730 scope host metric 173 ",
  "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1 ",
  "Deleted 10.244.1.5 dev cali12 scope link ",
  "default via 192.168.1.1 dev eth0 proto dhcp metric 100 ",
  "default proto bird metric 32 \\\tnexthop via 10.0.0.1 dev eth0 weight 1 \\\tnexthop via 10.0.0.2 dev eth1 weight 1 ",
  "blackhole 10.244.7.0/26 proto bird ",
  "unreachable default dev lo metric 4294967295 error -101 pref medium",
  "Deleted fe80::/64 dev veth7 proto kernel metric 256 pref medium",
  "multicast ff00::/8 dev veth7 table local proto kernel metric 256 pref medium",
])("the line %j is a route of another program", (line) => {
  expect(parseMonitorLine(line)).toBe("other");
});
