import { access } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { FAMILIES, parseAddress } from "../model/address.ts";
import type { Bridge, BridgeFacts } from "./kernel.ts";
import type { SysctlClient } from "./sysctl.ts";

const FILTERS = { IPv4: "net/bridge/bridge-nf-call-iptables", IPv6: "net/bridge/bridge-nf-call-ip6tables" } as const;

/**
 * Returns the bridges of this network namespace, and the families whose bridged packets do not pass netfilter and IPVS.
 * If there is no such family, the bridges are not read, because no caller needs them.
 */
export async function readBridges(sysctls: Pick<SysctlClient, "value">): Promise<BridgeFacts> {
  const values = await Promise.all(FAMILIES.map((family) => sysctls.value(FILTERS[family])));
  // Without the module br_netfilter the setting does not exist.
  const unfiltered = FAMILIES.filter((_, index) => values[index] !== "1");
  if (unfiltered.length === 0) return { unfiltered, bridges: [] };
  const bridges: Bridge[] = [];
  for (const [name, found = []] of Object.entries(networkInterfaces())) {
    const addresses = found.map(({ address }) => parseAddress(address)).filter((address) => address !== undefined);
    if (await isBridge(name)) bridges.push({ name, addresses });
  }
  return { unfiltered, bridges };
}

function isBridge(name: string): Promise<boolean> {
  return access(`/sys/class/net/${name}/bridge`).then(
    () => true,
    () => false,
  );
}
