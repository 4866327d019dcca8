import type { AddressChange } from "../kernel/link/monitor.ts";
import type { IPFamily } from "../model/address.ts";
import type { ClusterNode } from "../model/cluster/service.ts";
import type { SetEntry } from "../model/kernel/ipset.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import type { ServiceTable } from "../services/service-table.ts";
import { NodeAbsence, type NodeAbsenceOptions, type NodeAbsenceParts } from "./node-absence.ts";
import { NodeAddresses, type NodeAddressesParts, type NodeAddressesUse } from "./node-addresses.ts";
import {
  isAboutNode,
  NO_SURROUNDINGS,
  type NodeChoices,
  type NodeFacts,
  nodeFacts,
  sameNodeFacts,
} from "./node-facts.ts";
import {
  type NodeDeficits,
  NodePreparation,
  type NodePreparationParts,
  type PreparationChoices,
} from "./node-preparation.ts";
import type { SetupFor } from "./node-setup.ts";
import { type ApiServer, apiServers } from "./reserved-addresses.ts";

/** The part of the configuration that says what is known of the node in advance. */
export interface NodeOptions extends NodeChoices, PreparationChoices, NodeAbsenceOptions {
  /** "NodeCIDR": pods of this node are known by the networks of its Node. */
  readonly localMode: string;
}

export interface NodeTrackerDependencies extends NodeAddressesParts, NodePreparationParts {
  readonly kernel: NodeAddressesParts["kernel"] & NodePreparationParts["kernel"];
  readonly clock: NodeAddressesParts["clock"];
  readonly metrics: NodePreparationParts["metrics"] & NodeAbsenceParts["metrics"];
  /** API servers that are known beside those in the cluster. */
  readonly apiServers: () => readonly ApiServer[];
}

/** What the tracker reads of the desired state, and what it calls. */
export interface NodeTrackerUse extends Pick<NodeAddressesUse, "isWanted" | "isOthers"> {
  readonly table: () => ServiceTable;
  /** The set members that must exist before the rules; read in each `prepare`. */
  readonly firstMembers: () => readonly SetEntry[];
  /** Called whenever the facts were computed, with the present Node; undefined: no Node was ever seen. */
  readonly onNode: (node: Pick<ClusterNode, "leaving"> | undefined) => void;
  /** The facts have changed. */
  readonly onFacts: (facts: NodeFacts) => void;
  /** The addresses of the node were read because the kernel reported a change. Called after `onFacts`. */
  readonly onAddresses: () => void;
  /** Another process changed the virtual addresses. */
  readonly onExternalChange: () => void;
  /** The node has to be made ready once more before anything else is programmed. */
  readonly onNeeds: () => void;
  /** Called after each attempt to make the node ready, and once more when its rules are late. */
  readonly onDeficits: (deficits: NodeDeficits) => void;
  /** No Node has the name of this node; the warning is for people. */
  readonly onAbsent: (warning: string) => void;
}

/**
 * Tracks this node: its addresses, its Node object, the schedulers that its kernel lacks. From these it computes the facts that
 * Services depend on, and it makes the node ready for Services.
 */
export class NodeTracker {
  /** The address families that the node can have. */
  readonly families: readonly IPFamily[];
  readonly #options: NodeOptions;
  readonly #dependencies: NodeTrackerDependencies;
  readonly #use: NodeTrackerUse;
  readonly #preparation: NodePreparation;
  readonly #addresses: NodeAddresses;
  readonly #absence: NodeAbsence;
  /** A module that is loaded later is found after a restart: to try again and again would disturb Services that work. */
  readonly #missingSchedulers = new Set<Scheduler>();
  #facts: NodeFacts;

  constructor(options: NodeOptions, setupFor: SetupFor, dependencies: NodeTrackerDependencies, use: NodeTrackerUse) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#use = use;
    this.#preparation = new NodePreparation(options, setupFor, dependencies, {
      ...use,
      nodePorts: () => use.table().nodePorts(),
    });
    this.families = this.#preparation.families;
    this.#absence = new NodeAbsence(options, { ...dependencies, onAbsent: use.onAbsent });
    this.#addresses = new NodeAddresses(dependencies, {
      ...use,
      onRead: () => {
        this.#refresh();
        use.onAddresses();
      },
      onMeddling: use.onExternalChange,
    });
    this.#facts = nodeFacts(options, this.families, NO_SURROUNDINGS);
  }

  /** As they were computed last. Before the first `prepare` the addresses are unknown. */
  get facts(): NodeFacts {
    return this.#facts;
  }

  /** Reads the addresses of the node and makes it ready. Rejects when the kernel does not answer or has no IPVS. */
  async prepare(): Promise<void> {
    await this.#addresses.read();
    this.#refresh();
    await this.#preparation.prepare(this.#use.firstMembers());
  }

  /** Takes in an event that the table already has. */
  accept(event: ClusterEvent): void {
    this.#preparation.followFamilies(event);
    if (isAboutNode(event)) this.#refresh();
  }

  /** Takes in a change of the addresses of the node; undefined: changes may have been missed. */
  onAddressChange(change: AddressChange | undefined): void {
    this.#addresses.hear(change);
  }

  /** These schedulers are missing in the kernel. Returns whether one of them was not known to be missing. */
  addMissingSchedulers(missing: readonly Scheduler[]): boolean {
    const fresh = missing.filter((scheduler) => !this.#missingSchedulers.has(scheduler));
    if (fresh.length === 0) return false;
    for (const scheduler of fresh) this.#missingSchedulers.add(scheduler);
    const { scheduler } = this.#options;
    if (fresh.includes(scheduler))
      this.#dependencies.logger.error({ scheduler }, "this kernel has not the scheduler of the node");
    this.#refresh();
    return true;
  }

  #refresh(): void {
    const { nodeName, localMode } = this.#options;
    const table = this.#use.table();
    this.#absence.check(table);
    const node = table.node(nodeName);
    // A node whose Node was never there may be one without an API server. One whose Node is gone is leaving.
    this.#use.onNode(node ?? { leaving: this.#absence.wasFound });
    if (node !== undefined && localMode === "NodeCIDR") this.#preparation.followPods(node.podCIDRs);
    const facts = nodeFacts(this.#options, this.families, {
      nodes: table.nodes(),
      addresses: this.#addresses.current,
      apiServers: apiServers(table, this.#dependencies.apiServers()),
      missingSchedulers: [...this.#missingSchedulers],
    });
    if (sameNodeFacts(facts, this.#facts)) return;
    this.#facts = facts;
    this.#dependencies.logger.info({ ...facts, reserved: [...facts.reserved.keys()] }, "facts of this node");
    this.#use.onFacts(facts);
  }
}
