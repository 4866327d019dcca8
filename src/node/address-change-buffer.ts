import type { AddressChange } from "../kernel/link/monitor.ts";
import type { IPAddress } from "../model/address.ts";
import type { VipBinding } from "../model/vip-binding.ts";

/** The addresses with which changes are compared. */
export interface ExpectedAddresses {
  /** The name of the interface of the virtual addresses. */
  readonly dummy: string;
  /** The addresses of all other interfaces at the last read. */
  readonly ofNode: readonly IPAddress[];
  /** How VIPs are to be bound. */
  readonly binding: VipBinding;
  /** Whether the address should be bound. */
  readonly isDesired: (address: IPAddress) => boolean;
  /** Whether an address that no Service needs may stay bound, because it is not ours. */
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
 * Collects address changes that the kernel reports, until `take`. Most are caused by this agent and need no action: a VIP
 * that the agent binds is desired, and one whose binding it removes is not desired, or not desired in this way.
 */
export class AddressChangeBuffer {
  /** The last change of each interface and address, and of the route of the agent to the address. */
  readonly #changes = new Map<string, AddressChange>();
  #isIncomplete = false;

  add(change: AddressChange): void {
    this.#changes.set(`${change.isRoute === true ? "route" : "link"} ${change.link} ${change.address}`, change);
  }

  /** Records that changes may have been missed. */
  markIncomplete(): void {
    this.#isIncomplete = true;
  }

  /** Returns the actions for the collected changes, and clears them. */
  take({ dummy, ofNode, binding, isDesired, isOthers }: ExpectedAddresses): ChangeActions {
    const changes = [...this.#changes.values()];
    const isUnsure = this.#isIncomplete;
    this.#changes.clear();
    this.#isIncomplete = false;
    const known = new Set(ofNode);
    return {
      // An address that vanished from one interface may still be on another.
      readNode:
        isUnsure ||
        changes.some(
          (change) =>
            changedBinding(change, dummy) === undefined && known.has(change.address) === (change.kind === "vanished"),
        ),
      resync: changes.some((change) => {
        const changed = changedBinding(change, dummy);
        if (changed === undefined) return false;
        const isMeant = changed === binding && isDesired(change.address);
        return change.kind === "vanished" ? isMeant : !isMeant && !isOthers(change.address);
      }),
    };
  }
}

/** The binding of a VIP that the change concerns; undefined if it concerns an address of another interface. */
function changedBinding({ link, isRoute }: AddressChange, dummy: string): VipBinding | undefined {
  if (isRoute === true) return "route";
  return link === dummy ? "address" : undefined;
}
