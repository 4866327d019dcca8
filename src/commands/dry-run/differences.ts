import type { DesiredState } from "../../desired/desired-state.ts";
import type { Observed } from "../../kernel/kernel.ts";
import type { IPAddress } from "../../model/address.ts";
import type { SetEntry } from "../../model/kernel/ipset.ts";
import { type RealServer, sameRealServer, sameVirtualServer, type VirtualServer } from "../../model/kernel/ipvs.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { bindingsOf, hasBinding, type VipBinding } from "../../model/vip-binding.ts";
import { entryOfAddress, mustOutlive } from "../../sync/plan/ownership.ts";
import { bindingLine, entryLine, realLine, serverLine, stateLines } from "./plan-lines.ts";
import { ServiceIndex } from "./service-index.ts";

/** Decides which kernel objects are ours, and how they should be. Objects that are neither ours nor desired are not a difference. */
export interface Ours {
  /** How VIPs are to be bound. */
  readonly binding: VipBinding;
  readonly server: (server: VirtualServer) => boolean;
  readonly address: (address: IPAddress) => boolean;
  readonly entry: (entry: SetEntry) => boolean;
  /** Whether a real server that is not desired drains. Neither it nor an object that it needs is a difference. */
  readonly drains: (server: VirtualServer, real: RealServer) => boolean;
}

/** One object that differs. */
export interface Difference {
  /** `+` is missing, `-` is ours and not desired, `~` has different values. */
  readonly line: string;
  /** The Service of the object; undefined if it belongs to none, or to several. */
  readonly service: string | undefined;
}

/** Returns the differences between the kernel and the desired state, sorted by text. */
export function differences(desired: DesiredState, observed: Observed, ours: Ours): readonly Difference[] {
  const unwanted = [...observed.servers.values()].filter(
    ({ server }) => desired.server(server.key) === undefined && ours.server(server),
  );
  const draining = unwanted.filter((state) => isDraining(state, ours));
  const services = new ServiceIndex(desired);
  const lines = [
    ...[...desired.servers()].flatMap((state) =>
      named(diffServer(state, observed.servers.get(state.server.key), ours), desired.owner(state.server.key)),
    ),
    ...unwanted
      .filter((state) => !draining.includes(state))
      .flatMap((state) => named(removed(stateLines(state)), undefined)),
    ...diffAddresses(desired, observed, ours, draining, services),
    ...diffEntries(desired, observed, ours, draining, services),
  ];
  return lines.sort((a, b) => (a.line < b.line ? -1 : Number(a.line > b.line)));
}

function named(lines: readonly string[], service: string | undefined): readonly Difference[] {
  return lines.map((line) => ({ line, service }));
}

function removed(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `- ${line}`);
}

/** Whether all real servers of a virtual server that is not desired drain, and it has any. */
function isDraining({ server, reals }: ServerState, { drains }: Ours): boolean {
  const list = [...reals];
  return list.length > 0 && list.every((real) => drains(server, real));
}

function diffAddresses(
  desired: DesiredState,
  observed: Observed,
  ours: Ours,
  draining: readonly ServerState[],
  services: ServiceIndex,
): readonly Difference[] {
  const needed = new Set(draining.map(({ server }) => server.address));
  const missing = [...desired.addresses()].filter(
    (address) => !hasBinding(observed.addresses.get(address), ours.binding),
  );
  const unwanted = [...observed.addresses].filter(([address]) => ours.address(address) && !needed.has(address));
  return [
    ...missing.map((address) => ({
      line: `+ ${bindingLine(address, ours.binding)}`,
      service: services.ofAddress(address),
    })),
    ...unwanted.flatMap(([address, bindings]) =>
      bindingsOf(bindings)
        .filter((binding) => binding !== ours.binding || !desired.hasAddress(address))
        .map((binding) => ({ line: `- ${bindingLine(address, binding)}`, service: undefined })),
    ),
  ];
}

function diffEntries(
  desired: DesiredState,
  observed: Observed,
  ours: Ours,
  draining: readonly ServerState[],
  services: ServiceIndex,
): readonly Difference[] {
  const isNeeded = (entry: SetEntry) =>
    draining.some(({ server }) => mustOutlive(entry, server) || entryOfAddress(server.address).key === entry.key);
  const missing = [...desired.entries()].filter(({ key }) => !observed.entries.has(key));
  const unwanted = [...observed.entries.values()].filter(
    (entry) => desired.entry(entry.key) === undefined && ours.entry(entry) && !isNeeded(entry),
  );
  return [
    ...missing.map((entry) => ({ line: `+ ${entryLine(entry)}`, service: services.ofEntry(entry) })),
    ...unwanted.map((entry) => ({ line: `- ${entryLine(entry)}`, service: services.ofEntry(entry) })),
  ];
}

function diffServer(desired: ServerState, actual: ServerState | undefined, { drains }: Ours): readonly string[] {
  if (actual === undefined) return stateLines(desired).map((line) => `+ ${line}`);
  const { server } = desired;
  const lines: string[] = [];
  if (!sameVirtualServer(server, actual.server))
    lines.push(`~ ${serverLine(server)} # is ${serverLine(actual.server)}`);
  const unwanted = actual.reals.toMap();
  for (const real of desired.reals) {
    lines.push(...diffReal(server, real, unwanted.get(real.key)));
    unwanted.delete(real.key);
  }
  for (const real of unwanted.values()) if (!drains(server, real)) lines.push(`- ${realLine(server, real)}`);
  return lines;
}

function diffReal(server: VirtualServer, desired: RealServer, actual: RealServer | undefined): readonly string[] {
  if (actual === undefined) return [`+ ${realLine(server, desired)}`];
  if (sameRealServer(desired, actual)) return [];
  return [`~ ${realLine(server, desired)} # is ${realLine(server, actual)}`];
}

/**
 * The differences as text: those of each Service below a line `# namespace/name`, the others below `# node`. Empty if
 * there are none.
 */
export function renderDifferences(found: readonly Difference[]): string {
  const groups = [...Map.groupBy(found, ({ service }) => service ?? "")].toSorted(([a], [b]) => order(a, b));
  return groups
    .map(([service, lines]) =>
      [`# ${service || "node"}`, ...lines.map(({ line }) => line)].map((line) => `${line}\n`).join(""),
    )
    .join("\n");
}

/** Services by name, the node last. */
function order(a: string, b: string): number {
  if (a === "" || b === "") return Number(a === "") - Number(b === "");
  return a < b ? -1 : 1;
}
