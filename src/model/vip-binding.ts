import type { IPAddress } from "./address.ts";

/**
 * How a VIP is made an address of this host, so that its packets reach IPVS: "address" is an address of kube-ipvs0,
 * "route" a route of type local with the protocol number of the agent.
 */
export type VipBinding = "address" | "route";

/** All bindings; the first is the default. */
export const VIP_BINDINGS = ["address", "route"] as const satisfies readonly VipBinding[];

/** The bindings of one VIP that has any. It has both while the agent replaces one by the other. */
export type VipBindings = VipBinding | "both";

/** The VIPs that are bound, each with its bindings. */
export type BoundVips = ReadonlyMap<IPAddress, VipBindings>;

/** Returns the bindings as a list; `bindings` is undefined if the VIP has none. */
export function bindingsOf(bindings: VipBindings | undefined): readonly VipBinding[] {
  return bindings === undefined ? [] : LISTS[bindings];
}

const LISTS: Readonly<Record<VipBindings, readonly VipBinding[]>> = {
  address: ["address"],
  route: ["route"],
  both: VIP_BINDINGS,
};

/** Whether the VIP is bound in this way. */
export function hasBinding(bindings: VipBindings | undefined, binding: VipBinding): boolean {
  return bindings === binding || bindings === "both";
}

/** Returns the bindings with this one added. */
export function withBinding(bindings: VipBindings | undefined, binding: VipBinding): VipBindings {
  return bindings === undefined || bindings === binding ? binding : "both";
}

/** Returns the bindings without this one; undefined if none is left. */
export function withoutBinding(bindings: VipBindings | undefined, binding: VipBinding): VipBindings | undefined {
  if (bindings === "both") return binding === "address" ? "route" : "address";
  return bindings === binding ? undefined : bindings;
}

/** Returns the bindings of all VIPs, from the VIPs that are bound in each way. */
export function boundVips(vips: Readonly<Record<VipBinding, Iterable<IPAddress>>>): BoundVips {
  const bound = new Map<IPAddress, VipBindings>();
  for (const binding of VIP_BINDINGS)
    for (const vip of vips[binding]) bound.set(vip, withBinding(bound.get(vip), binding));
  return bound;
}
