import type { IPAddress } from "../address.ts";
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

/**
 * The one order of changes: those of one plan are applied from the top down. What others depend on comes before them and
 * goes after them. A removal waits, besides, until the kernel has said that what depends on the object is gone
 * (`sync/plan/plan.ts`), so that neither a refusal nor a kill leaves anything that cannot be recognised as ours.
 */
const ORDER = [
  // A mark leads packets to a virtual server only while that has its real servers and no others: without a mark they are
  // served by address meanwhile, while one that has changed hands would lead them to the pods of another Service.
  "delete-mark",
  // Members come before the virtual server that they prove ours, and the clients of a restricted frontend before the restriction.
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
  // Last, when the kernel holds what the flows shall go to.
  "forget-flows",
] as const;

/** A kind of operation, with names of their own for the members of two sets. */
type Step = (typeof ORDER)[number];

// Every element of ORDER with its index.
const RANKS = Object.fromEntries(ORDER.map((step, rank) => [step, rank])) as Readonly<Record<Step, number>>;

/** All kinds of operations, in their order. */
export const OPERATION_KINDS: readonly OperationKind[] = ORDER.filter(
  (step): step is OperationKind => !/-(mark|restriction)$/.test(step),
);

/** The place in the order of an operation of the kind, on the member `entry` if it is about one; lower comes first. */
export function rankOf(kind: OperationKind, entry?: SetEntry): number {
  return RANKS[stepOf(kind, entry)];
}

function stepOf(kind: OperationKind, entry: SetEntry | undefined): Step {
  if (kind !== "add-entry" && kind !== "delete-entry") return kind;
  const verb = kind === "add-entry" ? "add" : "delete";
  if (entry?.set.marks === true) return `${verb}-mark`;
  return entry?.set.base === "KUBE-LOAD-BALANCER-FW" ? `${verb}-restriction` : kind;
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

/** The operations in an order safe to apply; those of one kind stay in the order given. */
export function inSafeOrder(operations: readonly Operation[]): Operation[] {
  const byRank: Operation[][] = [];
  operations.forEach((operation) => {
    const rank = rankOf(operation.kind, "entry" in operation ? operation.entry : undefined);
    byRank[rank] ??= [];
    byRank[rank].push(operation);
  });
  // Not all ranks are there. Unlike `flat`, `concat` allocates once.
  const none: Operation[] = [];
  return none.concat(...Object.values(byRank));
}
