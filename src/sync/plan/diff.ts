import { fnv1a } from "../../model/fnv.ts";
import { type RealServer, sameVirtualServer, type VirtualServer } from "../../model/kernel/ipvs.ts";
import type { Operation } from "../../model/kernel/operation.ts";
import type { RealServers } from "../../model/kernel/real-servers.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";

/** Whether an unwanted real server may be deleted now. If not, it keeps its connections at weight 0. */
export type MayDelete = (server: VirtualServer, real: RealServer) => boolean;

/** The rules of this node for plans. */
export interface DiffRules {
  /** Whether unwanted real servers of the virtual server drain. If not, all of them may be deleted at once. */
  readonly drains: (server: VirtualServer) => boolean;
  readonly mayDelete: MayDelete;
  readonly nodeName: string;
}

/**
 * Adds the operations that bring a virtual server from its actual to its desired state. Returns whether it then equals the
 * desired state, which is not the case while a real server drains. Every difference is an update in place: to delete and add
 * again would break connections and fill the kernel's trash list, which every later addition walks.
 */
export function diffServer(
  want: ServerState,
  have: ServerState | undefined,
  { mayDelete, nodeName }: DiffRules,
  operations: Operation[],
): boolean {
  const { server } = want;
  const isSame = have !== undefined && sameVirtualServer(server, have.server);
  if (isSame && want.reals.equals(have.reals)) return true;
  if (!isSame) operations.push({ kind: have === undefined ? "add-virtual-server" : "update-virtual-server", server });
  const { added, updated, unwanted } = have === undefined ? allOf(want.reals) : differencesOf(want.reals, have.reals);
  for (const real of additionOrder(server, added, nodeName)) operations.push({ kind: "add-real-server", server, real });
  for (const real of updated) operations.push({ kind: "update-real-server", server, real });
  let reaches = true;
  for (const real of unwanted) {
    if (!mayDelete(server, real)) reaches = false;
    drainOrDelete(server, real, mayDelete, operations);
  }
  return reaches;
}

/** Their table of hashes follows the order of the real servers: what differs between nodes would send one client to two. */
const HASHING: ReadonlySet<string> = new Set(["sh", "dh", "mh"]);

/**
 * Real servers that a virtual server gets, in the order in which to add them. IPVS puts each at the head of its list;
 * rr and wrr begin there, and lc, wlc, sed and nq choose the first among equals. Were the order the same on all nodes, the
 * first connection of each would go to one and the same pod. So on each node the list begins at another place, by
 * the names of the node and of the virtual server.
 */
function additionOrder(server: VirtualServer, list: readonly RealServer[], nodeName: string): readonly RealServer[] {
  if (list.length < 2 || HASHING.has(server.scheduler)) return list;
  const start = fnv1a(`${nodeName} ${server.key}`) % list.length;
  return start === 0 ? list : [...list.slice(start), ...list.slice(0, start)];
}

/** The differences between the desired and the actual real servers of a virtual server. */
interface Differences {
  readonly added: readonly RealServer[];
  readonly updated: readonly RealServer[];
  /** With their actual weights. */
  readonly unwanted: readonly RealServer[];
}

const NONE: readonly RealServer[] = [];

function allOf(wanted: RealServers): Differences {
  return { added: wanted.list(), updated: NONE, unwanted: NONE };
}

function differencesOf(wanted: RealServers, actual: RealServers): Differences {
  const added: RealServer[] = [];
  const updated: RealServer[] = [];
  const unwanted: RealServer[] = [];
  for (const { mine, other } of wanted.differences(actual)) {
    if (mine !== undefined) (other === undefined ? added : updated).push(mine);
    else if (other !== undefined) unwanted.push(other);
  }
  return { added, updated, unwanted };
}

/** Returns the operations that remove an unwanted virtual server of ours. `mayDeleteServer`: whether it may be deleted after its real servers. */
export function diffUnwantedServer(have: ServerState, rules: DiffRules, mayDeleteServer: boolean): Operation[] {
  const { server, reals } = have;
  const operations: Operation[] = [];
  for (const real of reals) drainOrDelete(server, real, rules.mayDelete, operations);
  if (mayDeleteServer && isDrained(have, rules)) operations.push({ kind: "delete-virtual-server", server });
  return operations;
}

/** Whether no real server drains any more. It stops at the first one, because it is called for each object that depends on the server. */
export function isDrained({ server, reals }: ServerState, { drains, mayDelete }: DiffRules): boolean {
  return !drains(server) || reals.every((real) => mayDelete(server, real));
}

function drainOrDelete(server: VirtualServer, real: RealServer, mayDelete: MayDelete, operations: Operation[]): void {
  if (mayDelete(server, real)) operations.push({ kind: "delete-real-server", server, real });
  else if (real.weight > 0) operations.push({ kind: "update-real-server", server, real: { ...real, weight: 0 } });
}
