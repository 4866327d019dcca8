import type { Cidr, IPAddress } from "../../model/address.ts";
import type { VirtualServer, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { type Evidence, isExcluded, isOurs } from "./ownership.ts";

/**
 * Whose the held virtual servers are. One that we wanted, or knew as ours by its evidence, is ours until it is gone,
 * whatever becomes of the evidence meanwhile; one that was others' becomes ours by being wanted.
 */
export class Claims {
  readonly #excluded: readonly Cidr[];
  readonly #ours = new Set<VirtualServerKey>();
  readonly #foreign = new Set<VirtualServerKey>();

  constructor(excludeCIDRs: readonly Cidr[]) {
    this.#excluded = excludeCIDRs;
  }

  /** The held virtual servers that are not ours. */
  get foreign(): ReadonlySet<VirtualServerKey> {
    return this.#foreign;
  }

  isExcluded(address: IPAddress): boolean {
    return isExcluded(address, this.#excluded);
  }

  /** Whether a virtual server that nobody wants may be deleted by us. */
  isOurs(server: VirtualServer, evidence: Evidence): boolean {
    if (this.#ours.has(server.key)) return !this.isExcluded(server.address);
    return isOurs(server, evidence, this.#excluded);
  }

  /** It is ours from now on. */
  claim(key: VirtualServerKey): void {
    this.#foreign.delete(key);
    this.#ours.add(key);
  }

  /** Settles whose it is; returns whether it is ours. */
  settle(server: VirtualServer, isWanted: boolean, evidence: Evidence): boolean {
    const ours = isWanted || this.isOurs(server, evidence);
    if (ours) this.claim(server.key);
    else this.#foreign.add(server.key);
    return ours;
  }

  /** It is gone: whoever makes it next is asked for evidence again. */
  forget(key: VirtualServerKey): void {
    this.#ours.delete(key);
    this.#foreign.delete(key);
  }

  /** Forgets all that are not there any more. */
  retain(isThere: (key: VirtualServerKey) => boolean): void {
    for (const key of [...this.#ours, ...this.#foreign]) if (!isThere(key)) this.forget(key);
  }
}
