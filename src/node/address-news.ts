import type { AddressChange } from "../kernel/link/monitor.ts";
import type { IPAddress } from "../model/address.ts";

/** What is known when news are judged. */
export interface KnownAddresses {
  /** The interface of the virtual addresses. */
  readonly dummy: string;
  /** Of all other interfaces, as they were read last. */
  readonly ofNode: readonly IPAddress[];
  /** Whether the address should be on the dummy interface. */
  readonly isWanted: (address: IPAddress) => boolean;
  /** Whether it may be there though nobody wants it. */
  readonly isOthers: (address: IPAddress) => boolean;
}

/** What is to be done about the news. */
export interface NewsVerdict {
  /** The node's own addresses are to be read again. */
  readonly readNode: boolean;
  /** Somebody changed what is ours: the kernel is to be looked at. */
  readonly look: boolean;
}

/**
 * Gathers what the kernel tells of addresses until it is judged. Most of it is our own doing, of which nothing follows:
 * a virtual address that we bind is wanted, one that we unbind is not.
 */
export class AddressNews {
  /** The last of each address, by interface. */
  readonly #changes = new Map<string, AddressChange>();
  #isUnsure = false;

  note(change: AddressChange): void {
    this.#changes.set(`${change.link} ${change.address}`, change);
  }

  /** Something may have been missed. */
  noteGap(): void {
    this.#isUnsure = true;
  }

  /** Judges what was gathered, and forgets it. */
  take({ dummy, ofNode, isWanted, isOthers }: KnownAddresses): NewsVerdict {
    const changes = [...this.#changes.values()];
    const isUnsure = this.#isUnsure;
    this.#changes.clear();
    this.#isUnsure = false;
    const known = new Set(ofNode);
    return {
      // One that vanished may be on another interface, too.
      readNode:
        isUnsure ||
        changes.some(({ kind, link, address }) => link !== dummy && known.has(address) === (kind === "vanished")),
      look: changes.some(({ kind, link, address }) => {
        if (link !== dummy) return false;
        return kind === "vanished" ? isWanted(address) : !isWanted(address) && !isOthers(address);
      }),
    };
  }
}
