import type { IPFamily } from "../model/address.ts";
import { type IPSet, ipsets, isKnownToKubeProxy, type SetEntry } from "../model/kernel/ipset.ts";
import type { Sysctl } from "../model/kernel/sysctl.ts";
import { parsePortRanges } from "../model/port-range.ts";
import { readBridges } from "./bridges.ts";
import type { IPSetClient } from "./ipset/client.ts";
import type { IptablesClient } from "./iptables/client.ts";
import type { OwnChains } from "./iptables/foreign-chains.ts";
import type { IpvsClient } from "./ipvs/client.ts";
import type { TimeoutClient } from "./ipvs/timeout-client.ts";
import type {
  BackendReport,
  NodeSetup,
  RuleFailure,
  RulesReport,
  SetupObject,
  SetupReport,
  SourcePorts,
} from "./kernel.ts";
import { DUMMY_NAME, type LinkClient } from "./link/client.ts";
import type { NftablesClient } from "./nftables/client.ts";
import { KubeProxyTables } from "./nftables/kube-proxy-tables.ts";
import { proxyProcesses } from "./proxy-processes.ts";
import { changesOf, merge, rulesStep, withoutKernelError } from "./setup-report.ts";
import type { SysctlClient } from "./sysctl.ts";
import type { VipClient } from "./vip/client.ts";

export interface SetupDependencies {
  readonly ipvs: IpvsClient;
  readonly timeouts: TimeoutClient;
  readonly link: LinkClient;
  readonly vips: VipClient;
  readonly sets: IPSetClient;
  readonly iptables: IptablesClient;
  readonly nftables: NftablesClient;
  readonly sysctls: Pick<SysctlClient, "apply" | "differences" | "value">;
  /** The chains that `remove` removes, with the jumps into them. */
  readonly chains: OwnChains;
  /** Returns the other agents in this network namespace, as text. */
  readonly otherAgents?: () => Promise<readonly string[]>;
}

/**
 * A look at both backends starts up to four programs, 0.5 s each on a node. In 20 resyncs, ten minutes by default, only
 * the 40 that read the rules in use start otherwise.
 */
const CALLS_PER_LOOK = 20;

/**
 * Writes and removes the part of the kernel state that does not depend on Services: kube-ipvs0, sysctls, IPVS timeouts,
 * sets and rules. The methods have the contract of the methods of `Kernel` with these names.
 */
export class SetupClient {
  readonly #ipvs: IpvsClient;
  readonly #timeouts: TimeoutClient;
  readonly #link: LinkClient;
  readonly #vips: VipClient;
  readonly #sets: IPSetClient;
  readonly #iptables: IptablesClient;
  readonly #kubeProxyTables: KubeProxyTables;
  readonly #sysctls: SetupDependencies["sysctls"];
  readonly #chains: SetupDependencies["chains"];
  readonly #otherAgents: NonNullable<SetupDependencies["otherAgents"]>;
  /** Whether the last call wrote all rules; then the programs found are the correct ones. */
  #iptablesFound = false;
  /** The calls that wrote all rules since both backends were read. */
  #callsSinceLook = 0;
  #backends: BackendReport | undefined;
  #isWritingRules = false;
  /** Whether the agent's rules were removed once because they referred to sets of another type. */
  #rulesRemovedForSets = false;

  constructor(dependencies: SetupDependencies) {
    this.#ipvs = dependencies.ipvs;
    this.#timeouts = dependencies.timeouts;
    this.#link = dependencies.link;
    this.#vips = dependencies.vips;
    this.#sets = dependencies.sets;
    this.#iptables = dependencies.iptables;
    this.#kubeProxyTables = new KubeProxyTables(dependencies.nftables);
    this.#sysctls = dependencies.sysctls;
    this.#chains = dependencies.chains;
    this.#otherAgents = dependencies.otherAgents ?? (async () => []);
  }

  async prepare(setup: NodeSetup): Promise<SetupReport> {
    // This is the first step because of its clear error: without ip_vs its sysctls are missing too.
    const family = await this.#ipvs.probe();
    const parts: readonly (() => Promise<SetupReport>)[] = [
      () => this.ensureInterface(setup.families),
      async () => changesOf("link", await this.#link.deprecate(setup.excludedCIDRs ?? [])),
      async () => changesOf("sysctl", await this.#sysctls.apply(setup.sysctls)),
      async () => changesOf("ipvs-timeout", await this.#timeouts.apply(family, setup.ipvsTimeouts ?? [])),
      () => this.#ensureSets(setup.families),
      () => this.#addMembers(setup.members ?? []),
    ];
    const reports: SetupReport[] = [];
    for (const part of parts) reports.push(await withoutKernelError(part));
    const sourcePorts = await this.#sourcePorts();
    const bridges = await readBridges(this.#sysctls);
    return { ...merge(reports), bridges, ...(sourcePorts !== undefined && { sourcePorts }) };
  }

  /**
   * Creates kube-ipvs0 and enables its IPv6 addresses if needed; this is the part of `prepare` that may need a writable
   * /proc/sys.
   */
  async ensureInterface(families: readonly IPFamily[]): Promise<SetupReport> {
    const made = await this.#link.ensure();
    const created = changesOf("link", { changed: made ? [`created interface "${DUMMY_NAME}"`] : [], warnings: [] });
    return merge([created, changesOf("sysctl", await this.#sysctls.apply(interfaceSysctls(families)))]);
  }

  /**
   * The programs are detected and tried at the first call and after a failure, which starts up to seven processes. Else
   * both backends are read in every 20th call. If the backend of the node has changed, the rules are written there first
   * and then removed from the old one, which is also what a restarted agent does that finds rules in both.
   */
  async writeRules(setup: NodeSetup): Promise<RulesReport> {
    const ruled = ruledFamilies(setup);
    if (ruled.length === 0) return { changed: [], failures: [] };
    this.#isWritingRules = true;
    try {
      // Side by side, because each file of /proc takes a turn of the event loop, and these are long while the first lists arrive.
      const [unusable, agents, processes] = await Promise.all([
        this.#findForWrite(ruled),
        this.#otherAgents(),
        proxyProcesses(),
      ]);
      const applied = await this.#iptables.apply(setup.rules, setup.leftovers, agents.length > 0);
      const { changed, failures, tables: states = [], otherProxies = [], isDeferred } = applied;
      const isWritten = unusable.length + failures.length === 0;
      const old = isWritten ? await this.#iptables.removeOld(this.#chains) : { changed: [], failures: [] };
      this.#iptablesFound = isWritten && old.failures.length === 0;
      const tables = setup.leftovers === "remove" ? await this.#kubeProxyTables.remove(setup.families) : undefined;
      const others = [...otherProxies, ...(tables?.otherProxies ?? []), ...agents, ...processes];
      return {
        changed: [...changed, ...old.changed, ...(tables?.changed ?? [])],
        ...(others.length > 0 && { otherProxies: others }),
        ...(isDeferred && { isDeferred }),
        failures: [...unusable, ...failures],
        tables: states,
        ...withWarnings(this.#backends, old.failures),
      };
    } finally {
      this.#isWritingRules = false;
    }
  }

  async #findForWrite(families: readonly IPFamily[]): Promise<readonly RuleFailure[]> {
    this.#callsSinceLook += 1;
    if (this.#iptablesFound && this.#callsSinceLook < CALLS_PER_LOOK) return [];
    this.#callsSinceLook = 0;
    return this.#findIptables(families, this.#iptablesFound);
  }

  /**
   * Describes the changes that `prepare` and `writeRules` would make. Reads only; a part that cannot be read is a
   * warning. Also describes both backends of iptables, if it is known which one is in use.
   */
  async inspect(setup: NodeSetup): Promise<SetupReport & Pick<RulesReport, "backends">> {
    const family = await this.#ipvs.probe();
    const link = await this.#link.differences(setup.excludedCIDRs ?? []);
    // An interface that has IPv6 addresses has IPv6 enabled.
    const ofInterface = link.length === 0 ? interfaceSysctls(setup.families) : [];
    const sysctls = await this.#sysctls.differences([...ofInterface, ...setup.sysctls]);
    const timeouts = await this.#timeouts.differences(family, setup.ipvsTimeouts ?? []);
    const sets = await this.#sets.differences(setup.families.flatMap(ipsets));
    const unusable = await this.#findIptables(ruledFamilies(setup));
    const rules = await this.#iptables.differences(setup.rules);
    const old = this.#iptables.oldRules(this.#chains);
    const tables = await this.#kubeProxyTables.differences(setup.families);
    const found = (object: SetupObject, changed: readonly string[]) => changesOf(object, { changed, warnings: [] });
    const report = merge([
      found("link", link),
      found("sysctl", sysctls),
      found("ipvs-timeout", timeouts),
      found("set", sets),
      rulesStep({ changed: [...rules.changed, ...old, ...tables], failures: [...unusable, ...rules.failures] }),
    ]);
    return { ...report, ...withWarnings(this.#backends, []) };
  }

  /** Removes all of that, and what kube-proxy's iptables and nftables modes have left. */
  async remove(families: readonly IPFamily[]): Promise<SetupReport> {
    // Rules come first: a set that a rule names cannot be destroyed.
    const rules = await this.#removeRules(families, "with leftovers");
    const sets = await this.#sets.destroy(families.flatMap(ipsets));
    const tables = rulesStep({ ...(await this.#kubeProxyTables.remove(families)), failures: [] });
    const routes = changesOf("link", await this.#vips.removeRoutes());
    return merge([rules, changesOf("set", sets), routes, changesOf("link", await this.#link.remove()), tables]);
  }

  /**
   * Gives the node back to kube-proxy: writes these rules, removes the agent's own `chains`, gives the sets of kube-proxy
   * its size, destroys all other sets of the agent but `kept`, and binds as addresses the VIPs that are bound by routes. A part that fails is a warning.
   */
  async handBack(
    { families, rules }: Pick<NodeSetup, "families" | "rules">,
    chains: OwnChains,
    kept: ReadonlySet<string>,
  ): Promise<SetupReport> {
    const unusable = await this.#findIptables(ruledFamilies({ families, rules }));
    const routes = await withoutKernelError(async () => changesOf("link", await this.#vips.replaceRoutes()));
    const written = await this.#iptables.apply(rules);
    const removed = await this.#iptables.remove(families, chains);
    const [known, own] = partition(families.flatMap(ipsets), isKnownToKubeProxy);
    const sizes = await this.#sets.resetSizes(known);
    const sets = await this.#sets.destroy(own.filter(({ name }) => !kept.has(name)));
    const failures = [...unusable, ...written.failures, ...removed.failures];
    const ofRules = rulesStep({ changed: [...written.changed, ...removed.changed], failures });
    return merge([routes, ofRules, changesOf("set", sizes), changesOf("set", sets)]);
  }

  /**
   * Creates the sets. A set of another type stays while rules refer to it. These may be rules that an older agent
   * wrote, so they are removed, but only once: rules of other programs would block the set each time, and the agent's
   * rules would be missing each time.
   */
  async #ensureSets(families: readonly IPFamily[]): Promise<SetupReport> {
    const sets = families.flatMap(ipsets);
    const first = await this.#sets.ensure(sets);
    if (!first.blocked || this.#rulesRemovedForSets || this.#isWritingRules) return changesOf("set", first);
    this.#rulesRemovedForSets = true;
    const rules = await this.#removeRules(families);
    const second = await this.#sets.ensure(sets);
    return merge([changesOf("set", { ...first, warnings: [] }), rules, changesOf("set", second)]);
  }

  async #addMembers(members: readonly SetEntry[]): Promise<SetupReport> {
    await this.#sets.apply(members.map((entry) => ({ kind: "add-entry", entry })));
    return { changed: [], warnings: [] };
  }

  /** Reads the port ranges, which apply to both families despite their path. */
  async #sourcePorts(): Promise<SourcePorts | undefined> {
    const chosen = await this.#sysctls.value("net/ipv4/ip_local_port_range");
    const reserved = await this.#sysctls.value("net/ipv4/ip_local_reserved_ports");
    if (chosen === undefined) return undefined;
    return { chosen: parsePortRanges(chosen), reserved: parsePortRanges(reserved ?? "") };
  }

  async #removeRules(families: readonly IPFamily[], scope?: "with leftovers"): Promise<SetupReport> {
    if (Object.keys(this.#chains).length === 0) return { changed: [], warnings: [] };
    // A family without a program has no rules, because the agent could not write any.
    await this.#iptables.find(families);
    return rulesStep(await this.#iptables.remove(families, this.#chains, scope));
  }

  /** Detects the programs; returns the families without a working program. */
  async #findIptables(families: readonly IPFamily[], areTried = false): Promise<readonly RuleFailure[]> {
    const { unusable, backends } = await this.#iptables.find(families, { chains: this.#chains, areTried });
    this.#backends = backends;
    return [...unusable].map(([family, text]) => ({ family, message: `Cannot use iptables for ${family}: ${text}` }));
  }
}

/**
 * Returns the sysctls of kube-ipvs0. A new interface copies disable_ipv6 from net/ipv6/conf/default, and while it is 1
 * the kernel refuses IPv6 addresses with EACCES (addrconf_add_dev). Other interfaces of the node keep their value.
 */
function interfaceSysctls(families: readonly IPFamily[]): readonly Sysctl[] {
  if (!families.includes("IPv6")) return [];
  return [{ path: `net/ipv6/conf/${DUMMY_NAME}/disable_ipv6`, value: "0", compare: "equal", required: false }];
}

/** Adds failures to remove old rules to the warnings: the rules in use are right, so that the node is ready. */
function withWarnings(
  backends: BackendReport | undefined,
  failures: readonly RuleFailure[],
): Pick<RulesReport, "backends"> {
  if (backends === undefined) return {};
  return { backends: { ...backends, warnings: [...backends.warnings, ...failures.map(({ message }) => message)] } };
}

function partition(sets: readonly IPSet[], isIn: (set: IPSet) => boolean): readonly [IPSet[], IPSet[]] {
  return [sets.filter(isIn), sets.filter((set) => !isIn(set))];
}

function ruledFamilies({ families, rules }: Pick<NodeSetup, "families" | "rules">): readonly IPFamily[] {
  return families.filter((family) => rules[family] !== undefined);
}
