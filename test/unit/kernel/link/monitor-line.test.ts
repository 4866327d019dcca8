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
      expect(change === undefined || parseAddress(change.address) === change.address).toBe(true);
    }),
  );
});
