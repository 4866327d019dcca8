import type { DesiredState } from "../../desired/desired-state.ts";
import type { NodeSetup, Observed } from "../../kernel/kernel.ts";
import type { IPAddress, IPFamily } from "../../model/address.ts";
import { type Problem, problemFields, problemObjectText } from "../../model/cluster/problem.ts";
import { ipsets, type SetEntry } from "../../model/kernel/ipset.ts";
import { type RealServer, sameRealServer, sameVirtualServer, type VirtualServer } from "../../model/kernel/ipvs.ts";
import type { Rules, RuleTable } from "../../model/kernel/rules.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import { addressLine, createLine, entryLine, realLine, serverLine, stateLines } from "./plan-lines.ts";

/** All objects that a node should hold, and the problems. */
export interface NodePlan {
  readonly node: string;
  readonly families: readonly IPFamily[];
  readonly desired: DesiredState;
  readonly rules: NodeSetup["rules"];
  readonly rejected: readonly Problem[];
}

/**
 * The plan as text. Each section is input for the tool that its heading names. Equal plans give equal texts. The sorted
 * section of virtual servers equals the sorted output of `ipvsadm -Sn`.
 */
export function renderPlanText(plan: NodePlan): string {
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ["virtual servers (ipvsadm -R)", sortedServers(plan.desired).flatMap(stateLines)],
    ["addresses (ip -batch)", [...plan.desired.addresses()].sort().map(addressLine)],
    ["sets (ipset restore)", setLines(plan)],
    ["rules of IPv4 (iptables-restore --noflush)", ruleText(plan, "IPv4").split("\n")],
    ["rules of IPv6 (ip6tables-restore --noflush)", ruleText(plan, "IPv6").split("\n")],
    ["rejected", sortedProblems(plan).map(problemLine)],
  ];
  const filled = sections.map(([heading, lines]) =>
    [`# ${heading}`, ...lines.filter((line) => line !== "")].join("\n"),
  );
  return `# node ${plan.node}\n\n${filled.join("\n\n")}\n`;
}

/** The plan as indented JSON. `rules` has the input for iptables-restore, "" for a family that is not served. */
export function renderPlanJson(plan: NodePlan): string {
  const document = {
    node: plan.node,
    virtualServers: sortedServers(plan.desired).map(({ server, reals }) => ({
      protocol: server.protocol,
      address: server.address,
      port: server.port,
      ...(server.mark !== 0 && { mark: server.mark }),
      scheduler: server.scheduler,
      flags: server.flags,
      persistenceSeconds: server.persistenceSeconds,
      service: plan.desired.owner(server.key),
      realServers: byKey(reals).map(({ address, port, weight, forwarding }) => ({
        address,
        port,
        weight,
        forwarding,
      })),
    })),
    addresses: [...plan.desired.addresses()].sort(),
    sets: Object.fromEntries([...members(plan)].map(([set, entries]) => [set.name, entries.map(({ text }) => text)])),
    rules: { ipv4: ruleText(plan, "IPv4"), ipv6: ruleText(plan, "IPv6") },
    rejected: sortedProblems(plan).map(problemFields),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Rules as input for `iptables-restore --noflush` on a host without the jumps of kube-ipvs. */
export function renderRules(rules: Rules): string {
  return rules.tables.map(renderTable).join("");
}

function renderTable({ name, chains, jumps }: RuleTable): string {
  return [
    `*${name}`,
    ...chains.map((chain) => `:${chain.name} - [0:0]`),
    ...chains.flatMap((chain) => chain.rules.map((rule) => `-A ${chain.name} ${rule}`)),
    ...jumps.map(({ from, rule, place }) => (place === "last" ? `-A ${from} ${rule}` : `-I ${from} ${rule}`)),
    "COMMIT\n",
  ].join("\n");
}

/** Decides which kernel objects are ours. Objects that are neither ours nor desired are not a difference. */
export interface Ours {
  readonly server: (server: VirtualServer) => boolean;
  readonly address: (address: IPAddress) => boolean;
  readonly entry: (entry: SetEntry) => boolean;
}

/**
 * The differences between the kernel and the desired state as sorted lines, empty if there are none: `+` is missing, `-`
 * is ours and not desired (draining real servers included), `~` has different values.
 */
export function diffPlan(desired: DesiredState, observed: Observed, ours: Ours): readonly string[] {
  const unwanted = [...observed.servers.values()].filter(
    ({ server }) => desired.server(server.key) === undefined && ours.server(server),
  );
  return [
    ...[...desired.servers()].flatMap((state) => diffServer(state, observed.servers.get(state.server.key))),
    ...unwanted.flatMap(stateLines).map((line) => `- ${line}`),
    ...diffAddresses(desired, observed, ours),
    ...diffEntries(desired, observed, ours),
  ].sort();
}

function diffAddresses(desired: DesiredState, observed: Observed, ours: Ours): readonly string[] {
  const missing = [...desired.addresses()].filter((address) => !observed.addresses.has(address));
  const unwanted = [...observed.addresses].filter((address) => !desired.hasAddress(address) && ours.address(address));
  return [
    ...missing.map((address) => `+ ${addressLine(address)}`),
    ...unwanted.map((address) => `- ${addressLine(address)}`),
  ];
}

function diffEntries(desired: DesiredState, observed: Observed, ours: Ours): readonly string[] {
  const missing = [...desired.entries()].filter(({ key }) => !observed.entries.has(key));
  const unwanted = [...observed.entries.values()].filter(
    (entry) => desired.entry(entry.key) === undefined && ours.entry(entry),
  );
  return [...missing.map((entry) => `+ ${entryLine(entry)}`), ...unwanted.map((entry) => `- ${entryLine(entry)}`)];
}

function diffServer(desired: ServerState, actual: ServerState | undefined): readonly string[] {
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
  for (const real of unwanted.values()) lines.push(`- ${realLine(server, real)}`);
  return lines;
}

function diffReal(server: VirtualServer, desired: RealServer, actual: RealServer | undefined): readonly string[] {
  if (actual === undefined) return [`+ ${realLine(server, desired)}`];
  if (sameRealServer(desired, actual)) return [];
  return [`~ ${realLine(server, desired)} # is ${realLine(server, actual)}`];
}

function sortedServers(desired: DesiredState): readonly ServerState[] {
  return [...desired.servers()].sort((a, b) => (a.server.key < b.server.key ? -1 : 1));
}

function byKey<Keyed extends { readonly key: string }>(values: Iterable<Keyed>): readonly Keyed[] {
  return [...values].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** All sets of the served families, empty sets included, with their members in order. */
function members(plan: NodePlan): ReadonlyMap<ReturnType<typeof ipsets>[number], readonly SetEntry[]> {
  const bySet = Map.groupBy(byKey(plan.desired.entries()), ({ set }) => set.name);
  return new Map(plan.families.flatMap((family) => ipsets(family)).map((set) => [set, bySet.get(set.name) ?? []]));
}

function setLines(plan: NodePlan): readonly string[] {
  return [...members(plan)].flatMap(([set, entries]) => [createLine(set, entries.length), ...entries.map(entryLine)]);
}

function ruleText(plan: NodePlan, family: IPFamily): string {
  const rules = plan.rules[family];
  return rules === undefined ? "" : renderRules(rules);
}

function sortedProblems({ rejected }: NodePlan): readonly Problem[] {
  return [...rejected].sort((a, b) => (problemLine(a) < problemLine(b) ? -1 : 1));
}

/** A problem as a comment, so that tools ignore the line. */
function problemLine(problem: Problem): string {
  return `# ${problemText(problem)}`;
}

/** A problem on one line: its object, field, value and reason. */
export function problemText({ object, field, value, reason }: Problem): string {
  return `${problemObjectText(object)}${field === "" ? "" : ` ${field}`}: ${JSON.stringify(value)} ${reason}`;
}
