import { expect, test } from "vitest";
import { NetlinkCounters } from "../../src/kernel/netlink/counters.ts";
import { NETLINK_NETFILTER } from "../../src/kernel/netlink/message.ts";
import { openRawSocket } from "../../src/kernel/netlink/raw-socket.ts";
import { NftablesClient } from "../../src/kernel/nftables/client.ts";
import { finished } from "../support/node/namespace.ts";

/** Makes a table of nftables with a chain; false on a kernel without nf_tables, such as User Mode Linux 6.1. */
async function makeTable(): Promise<boolean> {
  return (await finished(["iptables-nft", "-N", "PROBE"])).code === 0;
}

test("a table of nftables is deleted with its chains, and is absent afterwards and on a kernel without nf_tables", async () => {
  const counters = new NetlinkCounters();
  const client = new NftablesClient({ protocol: NETLINK_NETFILTER, messageBytes: 2048, open: openRawSocket, counters });
  try {
    const isMade = await makeTable();
    expect(await client.deleteTable("IPv6", "no-such-table")).toBe("absent");
    expect(await client.deleteTable("IPv4", "filter")).toBe(isMade ? "deleted" : "absent");
    expect((await finished(["iptables-nft-save"])).out).not.toContain("PROBE");
    expect(await client.deleteTable("IPv4", "filter")).toBe("absent");
  } finally {
    client.close();
  }
});
