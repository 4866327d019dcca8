import type { IPAddress } from "../address.ts";
import type { VipBinding } from "../vip-binding.ts";
import type { SetEntry } from "./ipset.ts";
import type { RealServer, VirtualServer, VirtualServerKey } from "./ipvs.ts";
import type { RealServers } from "./real-servers.ts";

/** A change of one kernel object, as plain data: a sync can request no other change. */
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
  | BindingOperation
  | { readonly kind: "add-entry" | "delete-entry"; readonly entry: SetEntry }
  | ForgetFlows;

/** Binds a VIP in one way, or undoes this binding alone. */
export interface BindingOperation {
  readonly kind: "bind-address" | "unbind-address";
  readonly binding: VipBinding;
  readonly address: IPAddress;
}

/**
 * Deletes from conntrack the flows that are sent to the address and port of a virtual server and answered from
 * elsewhere than these real servers. These are flows to a removed endpoint, and flows that began when no virtual server
 * had the address. Of TCP, only flows without a reply are deleted, never an established connection.
 */
export interface ForgetFlows {
  readonly kind: "forget-flows";
  readonly to: VirtualServerKey;
  readonly keep: RealServers;
}

export type OperationKind = Operation["kind"];

/**
 * The order in which the operations of one plan are applied, first to last. An object is added before those that depend
 * on it and deleted after them. Besides, a deletion waits until the kernel has confirmed the deletion of each object
 * that depends on it (`sync/plan/plan.ts`). Therefore neither a refusal nor a kill leaves an object that cannot be
 * recognised as the agent's.
 */
const ORDER = [
  // A mark leads packets to a virtual server only while that has exactly the real servers of its Service. Without the
  // mark the packets are served by address; with it they would reach the pods of another Service if the virtual server
  // changed its Service.
  "delete-mark",
  // Members come before the virtual server whose ownership they prove, and the allowed clients of a restricted frontend
  // come before the restriction.
  "add-entry",
  "add-restriction",
  "add-virtual-server",
  "update-virtual-server",
  "add-real-server",
  "update-real-server",
  // An address leads packets to IPVS only while its virtual servers have their real servers.
  "bind-address",
  "unbind-address",
  "delete-real-server",
  "add-mark",
  "delete-virtual-server",
  "delete-restriction",
  "delete-entry",
  // Flows are deleted last, when the kernel has the servers that they should reach.
  "forget-flows",
] as const;

/** A kind of operation; operations on members of two of the sets have steps of their own. */
type Step = (typeof ORDER)[number];

// The entries are all elements of ORDER with their index.
const RANKS = Object.fromEntries(ORDER.map((step, rank) => [step, rank])) as Readonly<Record<Step, number>>;

/** All kinds of operations, in the order in which they are applied. */
export const OPERATION_KINDS: readonly OperationKind[] = ORDER.filter(
  (step): step is OperationKind => !/-(mark|restriction)$/.test(step),
);

/**
 * Returns the place of an operation in the order, lower first; `entry` is the member that it changes, if it changes
 * one.
 */
export function rankOf(kind: OperationKind, entry?: SetEntry): number {
  return RANKS[stepOf(kind, entry)];
}

function stepOf(kind: OperationKind, entry: SetEntry | undefined): Step {
  if (kind !== "add-entry" && kind !== "delete-entry") return kind;
  const verb = kind === "add-entry" ? "add" : "delete";
  if (entry?.set.role === "marked-frontend") return `${verb}-mark`;
  return entry?.set.role === "restricted-frontend" ? `${verb}-restriction` : kind;
}

/** Returns the object of an operation, for messages: `real server "10.244.1.5:80" of "TCP/10.96.0.1:80"`. */
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
      return operation.binding === "route" ? `route of "${operation.address}"` : `address "${operation.address}"`;
    case "add-entry":
    case "delete-entry":
      return `member "${operation.entry.text}" of set "${operation.entry.set.name}"`;
    case "forget-flows":
      return `flows to "${operation.to}"`;
  }
}

/** Sorts the operations into the order in which they are safe to apply; operations of one kind keep their order. */
export function inSafeOrder(operations: readonly Operation[]): Operation[] {
  const byRank: Operation[][] = [];
  operations.forEach((operation) => {
    const rank = rankOf(operation.kind, "entry" in operation ? operation.entry : undefined);
    byRank[rank] ??= [];
    byRank[rank].push(operation);
  });
  // Not all ranks occur. Unlike `flat`, `concat` allocates once.
  const none: Operation[] = [];
  return none.concat(...Object.values(byRank));
}

/** Consecutive operations that `groupConsecutive` gave one name. */
export interface Group<Item, Name> {
  readonly name: Name;
  readonly items: readonly Item[];
}

/** Groups consecutive operations of the same name, in the order given: `[a, a, b, a]` gives three groups. */
export function groupConsecutive<Item extends Operation, Name>(
  items: readonly Item[],
  nameOf: (item: Item) => Name,
): readonly Group<Item, Name>[] {
  const groups: { name: Name; items: Item[] }[] = [];
  let current: { name: Name; items: Item[] } | undefined;
  items.forEach((item) => {
    const name = nameOf(item);
    if (current === undefined || current.name !== name) {
      current = { name, items: [] };
      groups.push(current);
    }
    current.items.push(item);
  });
  return groups;
}
