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
  "add-entry": 1,
  "add-virtual-server": 3,
  "update-virtual-server": 4,
  "add-real-server": 5,
  "update-real-server": 6,
  "bind-address": 7,
  "unbind-address": 8,
  "delete-real-server": 9,
  "delete-virtual-server": 11,
  "delete-entry": 13,
  "forget-flows": 14,
};

/** Where the members of some sets have their place besides. */
const RESTRICTING: EntryOrder = { "add-entry": 2, "delete-entry": 12 };
const MARKING: EntryOrder = { "add-entry": 10, "delete-entry": 0 };

type EntryOrder = Readonly<Record<"add-entry" | "delete-entry", number>>;

/**
 * The place of an operation among others, lower first. Whom a restricted frontend admits is said before the restriction
 * and unsaid after it. A mark leads packets to a virtual server only while that has its real servers and no others: without
 * a mark they are served by address meanwhile, while one that has changed hands would lead them to the pods of another Service.
 */
export function rankOf(operation: Operation): number {
  if (!("entry" in operation)) return OPERATION_ORDER[operation.kind];
  const { kind, entry } = operation;
  if (entry.set.marks) return MARKING[kind];
  return entry.set.base === "KUBE-LOAD-BALANCER-FW" ? RESTRICTING[kind] : OPERATION_ORDER[kind];
}

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
