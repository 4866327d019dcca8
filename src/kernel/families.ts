import { readFile } from "node:fs/promises";
import type { IPFamily } from "../model/address.ts";

/**
 * Returns the IP families that the kernel of this node supports: IPv4, and IPv6 unless it is missing or disabled for
 * all interfaces. `proc` is the mount point of procfs.
 */
export async function kernelFamilies(proc = "/proc"): Promise<readonly IPFamily[]> {
  const disabled = await readFile(`${proc}/sys/net/ipv6/conf/all/disable_ipv6`, "utf8").catch(() => "1");
  return disabled.trim() === "1" ? ["IPv4"] : ["IPv4", "IPv6"];
}
