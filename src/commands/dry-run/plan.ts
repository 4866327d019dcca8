import type { DesiredState } from "../../desired/desired-state.ts";
import type { NodeSetup } from "../../kernel/kernel.ts";
import type { IPFamily } from "../../model/address.ts";
import { type Problem, problemFields, problemObjectText } from "../../model/cluster/problem.ts";
import { ipsets, type SetEntry } from "../../model/kernel/ipset.ts";
import type { Rules, RuleTable } from "../../model/kernel/rules.ts";
import type { ServerState } from "../../model/kernel/server-state.ts";
import type { VipBinding } from "../../model/vip-binding.ts";
import { bindingLine, createLine, entryLine, stateLines } from "./plan-lines.ts";
import { ServiceIndex } from "./service-index.ts";

/** All objects that a node should hold, and the problems. */
export interface NodePlan {
  readonly node: string;
  readonly families: readonly IPFamily[];
  readonly desired: DesiredState;
  /** How VIPs are bound. */
  readonly binding: VipBinding;
  readonly rules: NodeSetup["rules"];
  readonly rejected: readonly Problem[];
}

/**
 * The plan as text. Each section is input for the tool that its heading names, without the lines that begin with #: they
 * name the Service of the lines below. Equal plans give equal texts. The other lines of the section of virtual servers,
 * sorted, equal the sorted output of `ipvsadm -Sn`.
 */
export function renderPlanText(plan: NodePlan): string {
  const { desired } = plan;
  const services = new ServiceIndex(desired);
  const servers = sortedServers(desired).map((state) => [desired.owner(state.server.key), stateLines(state)] as const);
  const addresses = [...desired.addresses()]
    .sort()
    .map((address) => [services.ofAddress(address), [bindingLine(address, plan.binding)]] as const);
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ["virtual servers (ipvsadm -R)", belowServices(servers)],
    ["addresses (ip -batch)", belowServices(addresses)],
    ["sets (ipset restore)", setLines(plan, services)],
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
    vipBinding: plan.binding,
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

function setLines(plan: NodePlan, services: ServiceIndex): readonly string[] {
  return [...members(plan)].flatMap(([set, entries]) => [
    createLine(set, entries.length),
    ...belowServices(entries.map((entry) => [services.ofEntry(entry), [entryLine(entry)]] as const)),
  ]);
}

/** The lines in their order, each group of one Service below its name; "node" if they belong to none, or to several. */
function belowServices(lines: readonly (readonly [string | undefined, readonly string[]])[]): readonly string[] {
  let last: string | undefined;
  return lines.flatMap(([service = "node", group]) => {
    const heading = service === last ? [] : [`# ${service}`];
    last = service;
    return [...heading, ...group];
  });
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
