import { type RealServer, sameVirtualServer, type VirtualServer } from "../../model/kernel/ipvs.ts";
import type { Operation } from "../../model/kernel/operation.ts";
import type { RealServers } from "../../model/kernel/real-servers.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { additionOrder } from "./rotation.ts";

/** Whether an unwanted real server may be deleted now; else it is kept at weight 0. */
export type MayDelete = (server: VirtualServer, real: RealServer) => boolean;

/** How a plan is made for this node. */
export interface DiffRules {
  /** Whether unwanted real servers of the virtual server wait for anything; where they do not, all may go. */
  readonly drains: (server: VirtualServer) => boolean;
  readonly mayDelete: MayDelete;
  readonly nodeName: string;
}

/**
 * Adds what makes a wanted virtual server of what is held. Returns whether it is then just as wanted: no real server stays
 * to drain. A difference is always an update in place: deleting and adding again would break connections and fill the
 * kernel's trash list, which every later addition walks.
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

/** How the real servers of a wanted virtual server differ from the held ones. */
interface Differences {
  readonly added: readonly RealServer[];
  readonly updated: readonly RealServer[];
  /** As they are held. */
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

/** What ends an unwanted virtual server that is ours; `mayDelete` is about itself, once no real server keeps it. */
export function diffUnwantedServer(have: ServerState, rules: DiffRules, mayDeleteServer: boolean): Operation[] {
  const { server, reals } = have;
  const operations: Operation[] = [];
  for (const real of reals) drainOrDelete(server, real, rules.mayDelete, operations);
  if (mayDeleteServer && isDrained(have, rules)) operations.push({ kind: "delete-virtual-server", server });
  return operations;
}

/** No real server keeps the virtual server any longer. Reads few of them: it is asked for each object that leans on the server. */
export function isDrained({ server, reals }: ServerState, { drains, mayDelete }: DiffRules): boolean {
  return !drains(server) || reals.every((real) => mayDelete(server, real));
}

function drainOrDelete(server: VirtualServer, real: RealServer, mayDelete: MayDelete, operations: Operation[]): void {
  if (mayDelete(server, real)) operations.push({ kind: "delete-real-server", server, real });
  else if (real.weight > 0) operations.push({ kind: "update-real-server", server, real: { ...real, weight: 0 } });
}
