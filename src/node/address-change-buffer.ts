import type { AddressChange } from "../kernel/link/monitor.ts";
import type { IPAddress } from "../model/address.ts";

/** The addresses with which changes are compared. */
export interface ExpectedAddresses {
  /** The name of the interface of the virtual addresses. */
  readonly dummy: string;
  /** The addresses of all other interfaces at the last read. */
  readonly ofNode: readonly IPAddress[];
  /** Whether the address should be on the dummy interface. */
  readonly isDesired: (address: IPAddress) => boolean;
  /** Whether an address that no Service needs may stay on the dummy interface, because it is not ours. */
  readonly isOthers: (address: IPAddress) => boolean;
}

/** The required actions. */
export interface ChangeActions {
  /** The node's own addresses must be read again. */
  readonly readNode: boolean;
  /** Another process changed our addresses, and a resync is needed. */
  readonly resync: boolean;
}

/**
 * Collects address changes that the kernel reports, until `take`. Most are caused by this agent and need no action: an
 * address that the agent adds to the dummy interface is desired, and one that it removes is not.
 */
export class AddressChangeBuffer {
  /** The last change of each interface and address. */
  readonly #changes = new Map<string, AddressChange>();
  #isIncomplete = false;

  add(change: AddressChange): void {
    this.#changes.set(`${change.link} ${change.address}`, change);
  }

  /** Records that changes may have been missed. */
  markIncomplete(): void {
    this.#isIncomplete = true;
  }

  /** Returns the actions for the collected changes, and clears them. */
  take({ dummy, ofNode, isDesired, isOthers }: ExpectedAddresses): ChangeActions {
    const changes = [...this.#changes.values()];
    const isUnsure = this.#isIncomplete;
    this.#changes.clear();
    this.#isIncomplete = false;
    const known = new Set(ofNode);
    return {
      // An address that vanished from one interface may still be on another.
      readNode:
        isUnsure ||
        changes.some(({ kind, link, address }) => link !== dummy && known.has(address) === (kind === "vanished")),
      resync: changes.some(({ kind, link, address }) => {
        if (link !== dummy) return false;
        return kind === "vanished" ? isDesired(address) : !isDesired(address) && !isOthers(address);
      }),
    };
  }
}
