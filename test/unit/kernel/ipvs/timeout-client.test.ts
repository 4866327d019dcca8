import { expect, test } from "vitest";
import { TimeoutClient } from "../../../../src/kernel/ipvs/timeout-client.ts";
import type { IpvsTimeout } from "../../../../src/kernel/kernel.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../../support/netlink/netlink-peer.ts";

const FAMILY = 31;
const { attribute, u32 } = naive;
const EPERM = 1;

const wanted: readonly IpvsTimeout[] = [
  { name: "tcp", seconds: 600, flag: "ipvs-tcp-timeout" },
  { name: "udp", seconds: 300, flag: "ipvs-udp-timeout" },
];

/** A kernel with these timeouts by number of attribute, which sets them, fails or ignores the request. */
const setUp = (timeouts: ReadonlyMap<number, number>, onSet: "sets" | "refuses" | "is deaf" = "sets") => {
  const held = new Map(timeouts);
  const peer = new NetlinkPeer((requests) =>
    requests.flatMap((it) => {
      if (it.body[0] === 13) {
        const body = [12, 1, 0, 0, ...[...held].flatMap(([type, value]) => attribute(type, u32(value)))];
        return [naive.message(FAMILY, 0, it.sequence, body), ...accepting([it])];
      }
      if (onSet === "refuses") return [naive.acknowledgement(it, EPERM)];
      const [low = 0, high = 0] = it.body.slice(8, 10);
      if (onSet === "sets") held.set(it.body[6] ?? 0, low + 256 * high);
      return accepting([it]);
    }),
  );
  const counters = new NetlinkCounters();
  const socket = new NetlinkSocket({ protocol: 16, messageBytes: 4096, open: peer.open, counters });
  return { client: new TimeoutClient(socket), peer, held };
};
const AT_BOOT = new Map([
  [4, 900],
  [5, 120],
  [6, 300],
]);

test("an IPVS timeout that differs is set; equal timeouts and those without a flag stay", async () => {
  const { client, held } = setUp(AT_BOOT);
  expect(await client.differences(FAMILY, wanted)).toEqual(["IPVS timeout tcp is 900 s, not 600 s"]);
  expect(await client.apply(FAMILY, wanted)).toEqual({
    changed: ["set IPVS timeout tcp from 900 s to 600 s"],
    warnings: [],
  });
  expect([...held.values()]).toEqual([600, 120, 300]);
  expect(await client.apply(FAMILY, wanted)).toEqual({ changed: [], warnings: [] });
});

test("an IPVS timeout that another program changes is set again", async () => {
  const { client, held } = setUp(AT_BOOT);
  await client.apply(FAMILY, wanted);
  held.set(6, 10);
  expect((await client.apply(FAMILY, wanted)).changed).toEqual(["set IPVS timeout udp from 10 s to 300 s"]);
});

test("without timeouts to set no request is sent to IPVS", async () => {
  const { client, peer } = setUp(AT_BOOT);
  expect(await client.apply(FAMILY, [])).toEqual({ changed: [], warnings: [] });
  expect(peer.sent).toEqual([]);
});

test.each([
  ["refuses", AT_BOOT, "EPERM"],
  ["is deaf", AT_BOOT, "the kernel accepted the value, but it is still 900 s"],
  ["is deaf", new Map([[6, 300]]), "the kernel accepted the value, but it is still missing"],
] as const)("a kernel that %s is told with the flag", async (onSet, timeouts, because) => {
  const { client } = setUp(timeouts, onSet);
  expect(await client.apply(FAMILY, wanted)).toEqual({
    changed: [],
    warnings: [`Cannot set IPVS timeout tcp to 600 s for --ipvs-tcp-timeout: ${because}`],
  });
});

test("IPVS timeouts that cannot be read reject, and none is set", async () => {
  const { client, peer } = setUp(AT_BOOT);
  peer.peer = (requests) => requests.map((it) => naive.acknowledgement(it, EPERM));
  await expect(client.apply(FAMILY, wanted)).rejects.toThrow(/read IPVS timeouts.*EPERM/);
  peer.peer = (requests) => requests.flatMap((it) => accepting([it]));
  await expect(client.apply(FAMILY, wanted)).rejects.toThrow(/read IPVS timeouts.*EBADMSG/);
});
