import { type IPAddress, isIPv6LinkLocal } from "../../../src/model/address.ts";
import type { Errno } from "../../../src/model/kernel/errno.ts";
import type { BindingOperation } from "../../../src/model/kernel/operation.ts";
import { type BoundVips, boundVips } from "../../../src/model/vip-binding.ts";

/** The bindings of VIPs in a kernel, with its rules and errnos: the addresses of kube-ipvs0, and the routes of the agent. */
export class VipTable {
  #device: Set<IPAddress> | undefined;
  readonly #routes = new Set<IPAddress>();

  /** Creates kube-ipvs0; false if it exists. */
  createDevice(): boolean {
    if (this.#device !== undefined) return false;
    this.#device = new Set();
    return true;
  }

  /** Deletes kube-ipvs0 with its addresses; false if it does not exist. */
  deleteDevice(): boolean {
    const existed = this.#device !== undefined;
    this.#device = undefined;
    return existed;
  }

  /** Deletes all routes; false if there are none. */
  deleteRoutes(): boolean {
    const existed = this.#routes.size > 0;
    this.#routes.clear();
    return existed;
  }

  /** Returns the addresses on kube-ipvs0, sorted. */
  addresses(): IPAddress[] {
    return [...(this.#device ?? [])].filter((address) => !isIPv6LinkLocal(address)).sort();
  }

  /** Returns the VIPs that are bound by routes, sorted. */
  routes(): IPAddress[] {
    return [...this.#routes].sort();
  }

  bound(): BoundVips {
    return boundVips({ address: this.addresses(), route: this.routes() });
  }

  perform({ kind, binding, address }: BindingOperation): Errno | undefined {
    if (binding === "route") return this.#changeRoute(kind, address);
    if (this.#device === undefined) return "ENODEV";
    if (kind === "unbind-address") return this.#device.delete(address) ? undefined : "EADDRNOTAVAIL";
    if (address === "::" || address.startsWith("ff")) return "EADDRNOTAVAIL";
    if (this.#device.has(address)) return "EEXIST";
    this.#device.add(address);
    return undefined;
  }

  #changeRoute(kind: BindingOperation["kind"], address: IPAddress): Errno | undefined {
    if (kind === "unbind-address") return this.#routes.delete(address) ? undefined : "ESRCH";
    if (this.#routes.has(address)) return "EEXIST";
    this.#routes.add(address);
    return undefined;
  }
}
