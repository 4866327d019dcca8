import type {
  BackendReport,
  Kernel,
  NodeSetup,
  RuleFailure,
  RulesReport,
  SetupObject,
  SetupReport,
  TableState,
  WrongSysctl,
} from "../kernel/kernel.ts";
import type { Cidr, IPFamily } from "../model/address.ts";
import type { SetEntry } from "../model/kernel/ipset.ts";
import type { IptablesBackend } from "../model/kernel/rules.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import { configuredFamilies, type FamilyOptions } from "./node-facts.ts";
import { NodeRules } from "./node-rules.ts";
import type { ClusterNeeds, SetupFor } from "./node-setup.ts";
import { OtherProxies } from "./other-proxies.ts";
import { describePodBridges } from "./pod-bridges.ts";
import { Repairs } from "./repairs.ts";
import { describeSourcePorts } from "./source-ports.ts";

/** The part of the configuration on which the preparation depends. */
export interface PreparationOptions extends FamilyOptions {
  /** "" if no bridge is configured. */
  readonly podBridge: string;
  /** "NodeCIDR": packets of pods are recognised by the pod networks of this node. */
  readonly localMode: string;
}

/** Records failures of the preparation. */
export interface PreparationMetrics {
  /** Records the paths of the desired sysctls, and of those that have a wrong value now. */
  recordSysctls(desired: readonly string[], wrong: readonly string[]): void;
  /** Records that the rules of a family could not be written. */
  recordRestoreFailure(family: IPFamily): void;
  /** Counts objects of the setup that were not as they had been written, and were repaired. */
  recordRepairs(object: SetupObject, count: number): void;
  /** Records which tables of rules are as desired. */
  recordTables(tables: readonly TableState[]): void;
  /** Records the iptables backend in use, and the rules in the other one. */
  recordBackends(used: IptablesBackend, otherRules: ReadonlyMap<IPFamily, number>): void;
}

export interface NodePreparationDependencies {
  readonly kernel: Pick<Kernel, "prepare" | "writeRules">;
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
  readonly metrics: PreparationMetrics;
}

/** The failures of the last preparation. */
export interface NodeDeficits {
  /** All failures as text. */
  readonly warnings: readonly string[];
  readonly wrongSysctls: readonly WrongSysctl[];
  /** Other service proxies that work on this node, as text. */
  readonly otherProxies: readonly string[];
  /** The failures of rules, for the families in use. */
  readonly ruleFailures: readonly RuleFailure[];
}

/** The failures of the last preparation, with what has no part of its own in `NodeDeficits`. */
interface Deficits extends NodeDeficits {
  readonly backendWarnings: readonly string[];
}

export interface NodePreparationCallbacks {
  /** Called when the node must be prepared again before anything else is programmed. */
  readonly onNeeds: () => void;
  /** Returns the NodePorts of all Services. */
  readonly nodePorts: () => Iterable<number>;
  /** Whether the Services are programmed. */
  readonly isServing: () => boolean;
  /** Called after each preparation, and again when the rules are finished later. */
  readonly onDeficits: (deficits: NodeDeficits) => void;
}

/** Prepares the node for Services in each resync, as the configuration and the cluster require. */
export class NodePreparation {
  /** The address families that the node supports. */
  readonly families: readonly IPFamily[];
  #config: PreparationOptions;
  readonly #setupFor: SetupFor;
  readonly #dependencies: NodePreparationDependencies;
  readonly #callbacks: NodePreparationCallbacks;
  readonly #rules: NodeRules;
  /** The current needs of the cluster. Families are only added. */
  #needs: ClusterNeeds;
  readonly #otherProxies = new OtherProxies();
  readonly #repairs = new Repairs();
  readonly #ruleRepairs = new Repairs();
  /** Whether rules wait until the Services are programmed. */
  #isDeferred = false;
  #backend: IptablesBackend | undefined;
  #deficits: Deficits = { warnings: [], wrongSysctls: [], ruleFailures: [], backendWarnings: [], otherProxies: [] };

  constructor(
    config: PreparationOptions,
    setupFor: SetupFor,
    dependencies: NodePreparationDependencies,
    callbacks: NodePreparationCallbacks,
  ) {
    this.#config = config;
    this.#needs = { podCIDRs: [], families: configuredFamilies(config) };
    this.#setupFor = setupFor;
    this.families = setupFor(this.#needs).families;
    this.#dependencies = dependencies;
    this.#callbacks = callbacks;
    this.#rules = new NodeRules({
      writeRules: (setup) => dependencies.kernel.writeRules(setup),
      clock: dependencies.clock,
      onReport: (report, ended) => this.#onRules(report, ended),
    });
  }

  /** Uses another configuration, which `setupFor` uses too, in a new preparation. */
  reconfigure(config: PreparationOptions): void {
    this.#config = config;
    this.#follow({ ...this.#needs, families: [...new Set([...this.#needs.families, ...configuredFamilies(config)])] });
  }

  /**
   * Prepares the node. The sets contain these members before the rules that match them are written. Rejects if the
   * kernel has no IPVS.
   */
  async prepare(members: readonly SetEntry[]): Promise<void> {
    const { kernel, metrics } = this.#dependencies;
    const leftovers = this.#callbacks.isServing() ? "remove" : "serve";
    const setup: NodeSetup = { ...this.#setupFor(this.#needs), members, leftovers };
    const report = await kernel.prepare(setup);
    const { changed, wrongSysctls = [] } = report;
    this.#logChanges(changed.map(({ text }) => text));
    if (this.#repairs.written(setup)) for (const { object } of changed) metrics.recordRepairs(object, 1);
    metrics.recordSysctls(
      setup.sysctls.map(({ path }) => path),
      wrongSysctls.map(({ path }) => path),
    );
    this.#deficits = { ...this.#deficits, warnings: this.#warningsOf(report), wrongSysctls };
    await this.#rules.write(setup);
    this.#report();
  }

  /**
   * Starts a new preparation if one of the families in use is new: forwarding must be on before a Service of the family
   * is programmed.
   */
  followFamilies(used: readonly IPFamily[]): void {
    const { families } = this.#needs;
    const fresh = used.filter((family) => !families.includes(family));
    if (fresh.length > 0) this.#follow({ ...this.#needs, families: [...new Set([...families, ...fresh])] });
  }

  /**
   * Starts a new preparation if the pod networks have changed: the rules match pods by these networks, and must be
   * written before Services are programmed.
   */
  followPods(podCIDRs: readonly Cidr[]): void {
    if (textOf(podCIDRs) !== textOf(this.#needs.podCIDRs)) this.#follow({ ...this.#needs, podCIDRs });
  }

  /** Whether another service proxy works on this node. */
  get isContested(): boolean {
    return this.#otherProxies.describe().length > 0;
  }

  /** The Services are programmed: rules that waited for this are written in a new preparation. */
  onServing(): void {
    if (this.#isDeferred) this.#callbacks.onNeeds();
  }

  /** Returns the failures, and the problems that only the operator can solve. */
  #warningsOf({ warnings, sourcePorts, bridges }: SetupReport): readonly string[] {
    const places = {
      bridge: this.#config.podBridge,
      networks: [...this.#config.clusterCidrs, ...this.#needs.podCIDRs],
    };
    return [
      ...warnings,
      ...(sourcePorts === undefined ? [] : describeSourcePorts(sourcePorts, this.#callbacks.nodePorts())),
      ...(bridges === undefined ? [] : describePodBridges(bridges, places)),
      ...this.#podNetworkWarnings(),
    ];
  }

  #podNetworkWarnings(): readonly string[] {
    const { podCIDRs } = this.#needs;
    const isUsed = this.#config.localMode === "NodeCIDR" && podCIDRs.length > 0;
    if (!isUsed || podCIDRs.some(({ family }) => this.families.includes(family))) return [];
    return [
      `The pod networks of this Node, ${textOf(podCIDRs)}, are of a family that the node does not support, so pods are not recognised: enable the family, or set another --detect-local-mode`,
    ];
  }

  #follow(needs: ClusterNeeds): void {
    this.#needs = needs;
    this.#callbacks.onNeeds();
  }

  #onRules(report: RulesReport, ended?: NodeSetup): void {
    const { changed, failures, tables, backends, otherProxies = [], isDeferred = false } = report;
    const { metrics } = this.#dependencies;
    this.#logChanges(changed);
    if (isDeferred && !this.#isDeferred)
      this.#dependencies.logger.info({}, "kube-proxy's iptables mode serves until the Services are programmed");
    this.#isDeferred = isDeferred;
    for (const { family } of failures) metrics.recordRestoreFailure(family);
    if (ended !== undefined && this.#ruleRepairs.written(ended)) metrics.recordRepairs("rules", changed.length);
    // A family that is not in use may have no iptables.
    if (tables !== undefined) metrics.recordTables(tables.filter(({ family }) => this.#isUsed(family)));
    this.#otherProxies.observe(otherProxies);
    this.#deficits = { ...this.#deficits, ruleFailures: failures, otherProxies: this.#otherProxies.describe() };
    if (backends !== undefined) this.#onBackends(backends);
    this.#report();
    // The write may have taken longer than the first sync.
    if (this.#callbacks.isServing()) this.onServing();
  }

  #onBackends({ used, reason, otherRules, warnings }: BackendReport): void {
    this.#dependencies.metrics.recordBackends(used, otherRules);
    this.#deficits = { ...this.#deficits, backendWarnings: warnings };
    if (used !== this.#backend) this.#dependencies.logger.info({ backend: used, reason }, "iptables backend found");
    this.#backend = used;
  }

  #report(): void {
    const { warnings, wrongSysctls, ruleFailures, backendWarnings, otherProxies } = this.#deficits;
    this.#callbacks.onDeficits({
      warnings: [...warnings, ...ruleFailures.map(({ message }) => message), ...backendWarnings],
      wrongSysctls,
      otherProxies,
      ruleFailures: ruleFailures.filter(({ family }) => this.#isUsed(family)),
    });
  }

  #isUsed(family: IPFamily): boolean {
    return this.#needs.families.includes(family);
  }

  #logChanges(changed: readonly string[]): void {
    if (changed.length > 0) this.#dependencies.logger.info({ changed }, "node prepared");
  }
}

function textOf(networks: readonly Cidr[]): string {
  return networks.map(({ text }) => text).join();
}
