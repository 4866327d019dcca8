import { IPSetClient } from "../../../../src/kernel/ipset/client.ts";
import { ipsetErrno } from "../../../../src/kernel/ipset/constants.ts";
import { NetlinkCounters } from "../../../../src/kernel/netlink/counters.ts";
import { NetlinkSocket } from "../../../../src/kernel/netlink/socket.ts";
import type { IPAddress } from "../../../../src/model/address.ts";
import { addressEntry, type IPSet, ipset, type SetEntry } from "../../../../src/model/kernel/ipset.ts";
import { FakeIPSetKernel } from "./fake-ipset-kernel.ts";

const ip = (text: string): IPAddress => text as IPAddress;
const IPS = ipset("KUBE-IPVS-IPS", "IPv4");

/** A member of KUBE-IPVS-IPS. */
export const vip = (index: number): SetEntry => addressEntry(IPS, ip(`10.96.${index >> 8}.${index & 255}`));

/** So many members of KUBE-IPVS-IPS. */
export const vips = (count: number): readonly SetEntry[] => Array.from({ length: count }, (_, index) => vip(index));

/** A client with a kernel of its own, and what sets hold. */
export function setup() {
  const kernel = new FakeIPSetKernel();
  const counters = new NetlinkCounters();
  const socket = (messageBytes: number) =>
    new NetlinkSocket({ protocol: 12, messageBytes, open: kernel.open, counters, nameOf: ipsetErrno });
  const sleeps: number[] = [];
  const during = { sleep: () => {} };
  const sleep = async (ms: number) => {
    sleeps.push(ms);
    during.sleep();
  };
  const client = new IPSetClient({ commands: socket(4096), dumps: socket(65_536), sleep });
  const list = async (sets: readonly IPSet[]) => {
    const entries: SetEntry[] = [];
    for await (const part of client.list(sets)) entries.push(...part.values());
    return entries;
  };
  const texts = async (set = IPS) => (await list([set])).map(({ text }) => text).sort();
  return { kernel, client, list, texts, sleeps, during };
}
