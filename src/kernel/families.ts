import { readFile } from "node:fs/promises";
import type { IPFamily } from "../model/address.ts";

/**
 * The families that the kernel of this node speaks: IPv4, and IPv6 unless it was left out or switched off for all
 * interfaces. `proc` is where procfs is mounted.
 */
export async function kernelFamilies(proc = "/proc"): Promise<readonly IPFamily[]> {
  const disabled = await readFile(`${proc}/sys/net/ipv6/conf/all/disable_ipv6`, "utf8").catch(() => "1");
  return disabled.trim() === "1" ? ["IPv4"] : ["IPv4", "IPv6"];
}
