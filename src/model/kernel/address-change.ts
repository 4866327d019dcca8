import type { IPAddress } from "../address.ts";

/** An address that an interface of this node got or lost, as the kernel tells it. */
export interface AddressChange {
  readonly kind: "appeared" | "vanished";
  /** Name of the interface. */
  readonly link: string;
  readonly address: IPAddress;
}
