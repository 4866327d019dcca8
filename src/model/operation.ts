import type { IPAddress } from "./address.ts";
import type { SetEntry } from "./ipset.ts";
import type { RealServer, VirtualServer, VirtualServerKey } from "./ipvs.ts";
import type { RealServers } from "./real-servers.ts";

/** Everything that a sync can ask of the kernel: plain data, one kernel object each. */
export type Operation =
  | {
      readonly kind: "add-virtual-server" | "update-virtual-server" | "delete-virtual-server";
      readonly server: VirtualServer;
    }
  | {
      readonly kind: "add-real-server" | "update-real-server" | "delete-real-server";
      readonly server: VirtualServer;
      readonly real: RealServer;
    }
  | { readonly kind: "bind-address" | "unbind-address"; readonly address: IPAddress }
  | { readonly kind: "add-entry" | "delete-entry"; readonly entry: SetEntry }
  | ForgetFlows;

/**
 * Removes from conntrack the flows sent to the address and port of a virtual server that are answered from elsewhere than
 * these real servers: those to an endpoint that is gone, and those that began when nothing served the address.
 */
export interface ForgetFlows {
  readonly kind: "forget-flows";
  readonly to: VirtualServerKey;
  readonly keep: RealServers;
}

export type OperationKind = Operation["kind"];

/** In the order in which they may be applied together: make before break, and an address only while its servers stand. */
export const OPERATION_ORDER: Readonly<Record<OperationKind, number>> = {
  "add-entry": 0,
  "add-virtual-server": 1,
  "update-virtual-server": 2,
  "add-real-server": 3,
  "update-real-server": 4,
  "bind-address": 5,
  "unbind-address": 6,
  "delete-real-server": 7,
  "delete-virtual-server": 8,
  "delete-entry": 9,
  "forget-flows": 10,
};

/** What an operation is about, for messages: `real server "10.244.1.5:80" of "TCP/10.96.0.1:80"`. */
export function describeOperation(operation: Operation): string {
  switch (operation.kind) {
    case "add-virtual-server":
    case "update-virtual-server":
    case "delete-virtual-server":
      return `virtual server "${operation.server.key}"`;
    case "add-real-server":
    case "update-real-server":
    case "delete-real-server":
      return `real server "${operation.real.key}" of "${operation.server.key}"`;
    case "bind-address":
    case "unbind-address":
      return `address "${operation.address}"`;
    case "add-entry":
    case "delete-entry":
      return `member "${operation.entry.text}" of set "${operation.entry.set.name}"`;
    case "forget-flows":
      return `flows to "${operation.to}"`;
  }
}
