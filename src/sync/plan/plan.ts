import type { IPAddress } from "../../model/address.ts";
import type { SetEntry, SetEntryKey } from "../../model/kernel/ipset.ts";
import type { VirtualServer, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { KeySet, type Keys } from "../../model/kernel/keys.ts";
import type { Operation } from "../../model/kernel/operation.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { bindingsOf, hasBinding, type VipBinding } from "../../model/vip-binding.ts";
import type { Desired } from "../desired.ts";
import type { ActualState } from "../resync/actual-state.ts";
import { type DiffRules, diffServer, diffUnwantedServer, isDrained } from "./diff.ts";
import { entryOfAddress, mustOutlive, provingKeys, serversNear } from "./ownership.ts";

/** The input of a plan. */
export interface PlanView extends DiffRules {
  readonly desired: Desired;
  readonly actual: ActualState;
  /** Whether an unwanted virtual server may be deleted. */
  readonly isOurs: (server: VirtualServer) => boolean;
  /** How VIPs are to be bound. */
  readonly binding: VipBinding;
  /** Whether an address that is not desired must stay, because the operator has excluded it. */
  readonly isExcluded: (address: IPAddress) => boolean;
}

/** Operations, and their results. */
export interface Planned {
  readonly operations: Operation[];
  /** The virtual servers that have the desired state after the operations. */
  readonly reached: Map<VirtualServerKey, ServerState>;
  /** The virtual servers that need more operations than one plan may have; the plan has the first of them. */
  readonly unfinished: VirtualServerKey[];
}

export function nothingPlanned(): Planned {
  return { operations: [], reached: new Map(), unfinished: [] };
}

/** The limit of the work in one plan. A unit is one key, or one real server of a virtual server. */
export const PART = 4_000;

/** The maximum number of operations on one virtual server in one plan. */
const SERVER_LIMIT = 5_000;

/**
 * Adds the operations that bring these objects from the actual to the desired state, as far as that is possible now, in no
 * order. An object that must wait for the deletion of another one gets no operation, and is returned by `unlockedBy` later: it
 * is deleted only after the kernel has confirmed that the objects which depend on it are deleted. A failure in between
 * therefore leaves no half-removed Service.
 */
export function plan(keys: Keys, view: PlanView, planned = nothingPlanned()): Planned {
  for (const key of keys.entries) planEntry(key, view, planned.operations);
  for (const key of keys.servers) planServer(key, view, planned);
  for (const address of keys.addresses) planAddress(address, view, planned.operations);
  return planned;
}

/** Returns the unwanted objects that may be deleted after these operations. */
export function unlockedBy(operations: readonly Operation[], view: PlanView): KeySet {
  const keys = new KeySet();
  operations.forEach((operation) => {
    if (operation.kind === "delete-virtual-server") addWaitingForServer(operation.server, view, keys);
    else if (operation.kind === "unbind-address") addWaitingForAddress(operation.address, view, keys);
    // Its other binding waits until the kernel has confirmed this one.
    else if (operation.kind === "bind-address") addReplaced(operation.address, view, keys);
  });
  return keys;
}

/** Adds the unwanted objects that wait for the deletion of some of these: they need no longer wait if these are desired again. */
export function addWaiting(keys: Keys, view: PlanView, waiting: KeySet): void {
  for (const key of keys.servers) {
    const have = view.actual.server(key);
    if (have !== undefined) addWaitingForServer(have.server, view, waiting);
  }
  for (const address of keys.addresses) addWaitingForAddress(address, view, waiting);
}

function addWaitingForServer(server: VirtualServer, view: PlanView, waiting: KeySet): void {
  if (isLeaving(server.address, view)) waiting.addresses.add(server.address);
  for (const key of provingKeys(server)) if (isSpareEntry(key, view)) waiting.entries.add(key);
  for (const key of view.actual.admittedTo(server.key)) if (isSpareEntry(key, view)) waiting.entries.add(key);
}

function addReplaced(address: IPAddress, { actual }: PlanView, waiting: KeySet): void {
  if (bindingsOf(actual.bindings(address)).length > 1) waiting.addresses.add(address);
}

function addWaitingForAddress(address: IPAddress, view: PlanView, waiting: KeySet): void {
  for (const key of view.actual.serversAt(address))
    if (view.desired.server(key) === undefined) waiting.servers.add(key);
  // The member belongs to the address: it is desired exactly if the address is.
  if (view.desired.hasAddress(address)) return;
  const { key } = entryOfAddress(address);
  if (isSpareEntry(key, view)) waiting.entries.add(key);
}

function isSpareEntry(key: SetEntryKey, { desired, actual }: PlanView): boolean {
  return actual.hasEntry(key) && desired.entry(key) === undefined;
}

function planServer(key: VirtualServerKey, view: PlanView, { operations, reached, unfinished }: Planned): void {
  const want = view.desired.server(key);
  const have = view.actual.server(key);
  const before = operations.length;
  if (want !== undefined) {
    if (diffServer(want, have, view, operations)) reached.set(key, want);
  } else if (have !== undefined && view.isOurs(have.server)) {
    for (const operation of diffUnwantedServer(have, view, !isLeaving(have.server.address, view)))
      operations.push(operation);
  }
  if (operations.length <= before + SERVER_LIMIT) return;
  operations.length = before + SERVER_LIMIT;
  reached.delete(key);
  unfinished.push(key);
}

/** Whether the address is bound and not desired: without its virtual servers, the node itself would answer there. */
function isLeaving(address: IPAddress, { desired, actual }: PlanView): boolean {
  return actual.hasAddress(address) && !desired.hasAddress(address);
}

/**
 * Plans the bindings of a VIP. A desired VIP that is bound in the other way alone is bound in the right way first; the
 * other binding is removed when this one exists.
 */
function planAddress(address: IPAddress, view: PlanView, operations: Operation[]): void {
  const { desired, actual, binding: wanted } = view;
  const bindings = actual.bindings(address);
  const isDesired = desired.hasAddress(address);
  if (isDesired && !hasBinding(bindings, wanted)) {
    operations.push({ kind: "bind-address", binding: wanted, address });
    return;
  }
  if (isDesired ? bindings === wanted : bindings === undefined) return;
  if (view.isExcluded(address) || (!isDesired && isInUse(address, view))) return;
  for (const binding of bindingsOf(bindings))
    if (!isDesired || binding !== wanted) operations.push({ kind: "unbind-address", binding, address });
}

/** Whether a virtual server on the address still drains: its connections need the address. */
function isInUse(address: IPAddress, view: PlanView): boolean {
  if (view.desired.isElsewhere(address)) return false;
  for (const key of view.actual.serversAt(address)) {
    const have = unwantedOfOurs(key, view);
    if (have !== undefined && !isDrained(have, view)) return true;
  }
  return false;
}

function planEntry(key: SetEntryKey, view: PlanView, operations: Operation[]): void {
  const want = view.desired.entry(key);
  const have = view.actual.entry(key);
  if (want !== undefined) {
    if (have === undefined) operations.push({ kind: "add-entry", entry: want });
  } else if (have !== undefined && !isNeeded(have, view)) operations.push({ kind: "delete-entry", entry: have });
}

/** Whether an unwanted object that still exists needs the member. */
function isNeeded(entry: SetEntry, view: PlanView): boolean {
  if (entry.address !== undefined && namesLeaving(entry, entry.address, view)) return true;
  for (const key of serversNear(entry, view.actual)) {
    const have = unwantedOfOurs(key, view);
    if (have !== undefined && mustOutlive(entry, have.server)) return true;
  }
  return false;
}

function namesLeaving(entry: SetEntry, address: IPAddress, view: PlanView): boolean {
  const leaving = isLeaving(address, view) && !view.isExcluded(address);
  return leaving && entryOfAddress(address).key === entry.key;
}

function unwantedOfOurs(key: VirtualServerKey, view: PlanView): ServerState | undefined {
  if (view.desired.server(key) !== undefined) return undefined;
  const have = view.actual.server(key);
  return have !== undefined && view.isOurs(have.server) ? have : undefined;
}
