import type { Kernel, RuleFailure, RulesReport, SetupReport, WrongSysctl } from "../kernel/kernel.ts";
import type { Cidr, IPFamily } from "../model/address.ts";
import type { Clock } from "../model/clock.ts";
import type { SetEntry } from "../model/kernel/ipset.ts";
import type { Logger } from "../model/logger.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import { NodeRules } from "./node-rules.ts";
import type { ClusterNeeds, SetupFor } from "./node-setup.ts";
import { describePodBridges } from "./pod-bridges.ts";
import { describeSourcePorts } from "./source-ports.ts";
import { configuredFamilies, type FamilyChoices, familiesShown } from "./used-families.ts";

/** The part of the configuration that says what to look at. */
export interface PreparationChoices extends FamilyChoices {
  readonly nodeName: string;
  /** "" when none is named. */
  readonly podBridge: string;
}

/** Counts what the node could not be made. */
export interface PreparationMetrics {
  /** Names of the sysctls that are wrong now. */
  recordWrongSysctls(names: readonly string[]): void;
  /** The rules of a family could not be written. */
  recordRestoreFailure(family: IPFamily): void;
}

export interface NodePreparationParts {
  readonly kernel: Pick<Kernel, "prepare" | "writeRules">;
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
  readonly metrics: PreparationMetrics;
}

/** What the node could not be made the last time. */
export interface NodeDeficits {
  /** All of it, for people. */
  readonly warnings: readonly string[];
  readonly wrongSysctls: readonly WrongSysctl[];
  /** Of families in use. */
  readonly ruleFailures: readonly RuleFailure[];
}

export interface NodePreparationUse {
  /** The node has to be made ready once more before anything else is programmed. */
  readonly onNeeds: () => void;
  /** NodePorts of all Services. */
  readonly nodePorts: () => Iterable<number>;
  /** Comes after each attempt, and once more when its rules are late. */
  readonly onDeficits: (deficits: NodeDeficits) => void;
}

/** Makes the node what Services need, with every look, by what the configuration and the cluster say. */
export class NodePreparation {
  /** Those that the node can have. */
  readonly families: readonly IPFamily[];
  readonly #nodeName: string;
  readonly #podBridge: string;
  readonly #clusterCIDRs: readonly Cidr[];
  readonly #setupFor: SetupFor;
  readonly #parts: NodePreparationParts;
  readonly #use: NodePreparationUse;
  readonly #rules: NodeRules;
  /** What the cluster said last of the node. Families are only added. */
  #needs: ClusterNeeds;
  #deficits: NodeDeficits = { warnings: [], wrongSysctls: [], ruleFailures: [] };

  constructor(config: PreparationChoices, setupFor: SetupFor, parts: NodePreparationParts, use: NodePreparationUse) {
    this.#nodeName = config.nodeName;
    this.#podBridge = config.podBridge;
    this.#clusterCIDRs = config.clusterCidrs;
    this.#needs = { podCIDRs: [], families: configuredFamilies(config) };
    this.#setupFor = setupFor;
    this.families = setupFor(this.#needs).families;
    this.#parts = parts;
    this.#use = use;
    this.#rules = new NodeRules({
      writeRules: (setup) => parts.kernel.writeRules(setup),
      clock: parts.clock,
      onReport: (report) => this.#onRules(report),
    });
  }

  /** With these members in their sets before the rules that ask for them. Rejects when the kernel has no IPVS. */
  async prepare(members: readonly SetEntry[]): Promise<void> {
    const { kernel, metrics } = this.#parts;
    const setup = { ...this.#setupFor(this.#needs), members };
    const report = await kernel.prepare(setup);
    const { changed, wrongSysctls = [] } = report;
    this.#logChanges(changed);
    metrics.recordWrongSysctls(wrongSysctls.map(({ path }) => path));
    this.#deficits = { ...this.#deficits, warnings: this.#warningsOf(report), wrongSysctls };
    await this.#rules.write(setup);
    this.#report();
  }

  /** Packets of a family are forwarded before any Service of it is programmed. */
  followFamilies(event: ClusterEvent): void {
    const { families } = this.#needs;
    const fresh = familiesShown(event, this.#nodeName).filter((family) => !families.includes(family));
    if (fresh.length > 0) this.#follow({ ...this.#needs, families: [...new Set([...families, ...fresh])] });
  }

  /** The rules know pods by these networks, so they come before any Service that does. */
  followPods(podCIDRs: readonly Cidr[]): void {
    if (textOf(podCIDRs) !== textOf(this.#needs.podCIDRs)) this.#follow({ ...this.#needs, podCIDRs });
  }

  /** What could not be made right, and what is nobody's to make right but the operator's. */
  #warningsOf({ warnings, sourcePorts, bridges }: SetupReport): readonly string[] {
    const places = { bridge: this.#podBridge, networks: [...this.#clusterCIDRs, ...this.#needs.podCIDRs] };
    return [
      ...warnings,
      ...(sourcePorts === undefined ? [] : describeSourcePorts(sourcePorts, this.#use.nodePorts())),
      ...(bridges === undefined ? [] : describePodBridges(bridges, places)),
    ];
  }

  #follow(needs: ClusterNeeds): void {
    this.#needs = needs;
    this.#use.onNeeds();
  }

  #onRules({ changed, failures }: RulesReport): void {
    this.#logChanges(changed);
    for (const { family } of failures) this.#parts.metrics.recordRestoreFailure(family);
    this.#deficits = { ...this.#deficits, ruleFailures: failures };
    this.#report();
  }

  #report(): void {
    const { warnings, wrongSysctls, ruleFailures } = this.#deficits;
    this.#use.onDeficits({
      warnings: [...warnings, ...ruleFailures.map(({ message }) => message)],
      wrongSysctls,
      // A family that nobody uses may well have no iptables.
      ruleFailures: ruleFailures.filter(({ family }) => this.#needs.families.includes(family)),
    });
  }

  #logChanges(changed: readonly string[]): void {
    if (changed.length > 0) this.#parts.logger.info({ changed }, "node prepared");
  }
}

function textOf(networks: readonly Cidr[]): string {
  return networks.map(({ text }) => text).join();
}
