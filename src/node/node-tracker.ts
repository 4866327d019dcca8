import type { AddressChange } from "../kernel/link/monitor.ts";
import type { IPFamily } from "../model/address.ts";
import type { ClusterNode } from "../model/cluster/service.ts";
import type { SetEntry } from "../model/kernel/ipset.ts";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { VipBinding } from "../model/vip-binding.ts";
import type { ClusterEvent } from "../services/cluster-event.ts";
import type { ServiceTable } from "../services/service-table.ts";
import { NodeAbsence, type NodeAbsenceDependencies, type NodeAbsenceOptions } from "./node-absence.ts";
import { NodeAddresses, type NodeAddressesCallbacks, type NodeAddressesDependencies } from "./node-addresses.ts";
import {
  familiesShown,
  isAboutNode,
  NOTHING_DISCOVERED,
  type NodeFacts,
  type NodeFactsOptions,
  nodeFacts,
  sameNodeFacts,
} from "./node-facts.ts";
import {
  type NodeDeficits,
  NodePreparation,
  type NodePreparationDependencies,
  type PreparationOptions,
} from "./node-preparation.ts";
import type { SetupFor } from "./node-setup.ts";
import { type ApiServer, apiServers } from "./reserved-addresses.ts";

/** The part of the configuration that describes the node. */
export interface NodeOptions extends NodeFactsOptions, PreparationOptions, NodeAbsenceOptions {
  /** How VIPs are bound. */
  readonly vipBinding: VipBinding;
}

export interface NodeTrackerDependencies extends NodeAddressesDependencies, NodePreparationDependencies {
  readonly kernel: NodeAddressesDependencies["kernel"] & NodePreparationDependencies["kernel"];
  readonly clock: NodeAddressesDependencies["clock"];
  readonly metrics: NodePreparationDependencies["metrics"] & NodeAbsenceDependencies["metrics"];
  /** The API servers that are known from elsewhere than the cluster. */
  readonly apiServers: () => readonly ApiServer[];
}

/** What the tracker reads of the desired state, and what it calls. */
export interface NodeTrackerCallbacks extends Pick<NodeAddressesCallbacks, "isDesired" | "isOthers"> {
  readonly table: () => ServiceTable;
  /** The set members that must exist before the rules; read in each `prepare`. */
  readonly firstMembers: () => readonly SetEntry[];
  /** Called whenever the facts were computed, with the present Node; undefined: no Node was ever seen. */
  readonly onNode: (node: Pick<ClusterNode, "leaving"> | undefined) => void;
  /** Called when the facts have changed. */
  readonly onFacts: (facts: NodeFacts) => void;
  /** Called when the addresses of the node were read because the kernel reported a change, after `onFacts`. */
  readonly onAddresses: () => void;
  /** Called when another process changed the virtual addresses. */
  readonly onExternalChange: () => void;
  /** Called when the node must be prepared again before anything else is programmed. */
  readonly onNeeds: () => void;
  /** Whether the Services are programmed. */
  readonly isServing: () => boolean;
  /** Called after each preparation of the node, and again when its rules are finished later. */
  readonly onDeficits: (deficits: NodeDeficits) => void;
  /** Called with a warning when no Node has the name of this node. */
  readonly onAbsent: (warning: string) => void;
}

/**
 * Tracks this node: its addresses, its Node object, and the schedulers that its kernel lacks. From these it computes
 * the facts on which Services depend, and it prepares the node for Services.
 */
export class NodeTracker {
  /** The address families that the node supports. */
  readonly families: readonly IPFamily[];
  #options: NodeOptions;
  readonly #dependencies: NodeTrackerDependencies;
  readonly #callbacks: NodeTrackerCallbacks;
  readonly #preparation: NodePreparation;
  readonly #addresses: NodeAddresses;
  readonly #absence: NodeAbsence;
  /**
   * The schedulers that the kernel lacks. A module that is loaded later is used after a restart: repeated attempts
   * would disturb Services that work.
   */
  readonly #missingSchedulers = new Set<Scheduler>();
  #facts: NodeFacts;

  constructor(
    options: NodeOptions,
    setupFor: SetupFor,
    dependencies: NodeTrackerDependencies,
    callbacks: NodeTrackerCallbacks,
  ) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#callbacks = callbacks;
    this.#preparation = new NodePreparation(options, setupFor, dependencies, {
      ...callbacks,
      nodePorts: () => callbacks.table().nodePorts(),
    });
    this.families = this.#preparation.families;
    this.#absence = new NodeAbsence(options, { ...dependencies, onAbsent: callbacks.onAbsent });
    this.#addresses = new NodeAddresses(dependencies, {
      ...callbacks,
      binding: options.vipBinding,
      onRead: () => {
        this.#refresh();
        callbacks.onAddresses();
      },
      onMeddling: callbacks.onExternalChange,
    });
    this.#facts = nodeFacts(options, this.families, NOTHING_DISCOVERED);
  }

  /** The facts that were computed last. Before the first `prepare` they contain no addresses. */
  get facts(): NodeFacts {
    return this.#facts;
  }

  /** Reads the addresses of the node and prepares it. Rejects if a kernel request fails or the kernel has no IPVS. */
  async prepare(): Promise<void> {
    await this.#addresses.read();
    this.#refresh();
    await this.#preparation.prepare(this.#callbacks.firstMembers());
  }

  /** Uses another configuration of the same node: computes the facts again, and prepares the node again. */
  reconfigure(options: NodeOptions): void {
    this.#options = options;
    this.#preparation.reconfigure(options);
    this.#refresh();
  }

  /** Processes an event that the table already contains. */
  accept(event: ClusterEvent): void {
    const families = familiesShown(event, this.#options.nodeName);
    if (families.length > 0) this.#preparation.followFamilies(families);
    if (isAboutNode(event)) this.#refresh();
  }

  /** Whether another service proxy works on this node. */
  get isContested(): boolean {
    return this.#preparation.isContested;
  }

  /** The first sync is complete: Services are programmed. */
  onServing(): void {
    this.#preparation.onServing();
  }

  /** Ignores further changes of the node's addresses, because the agent ends. */
  stop(): void {
    this.#addresses.stop();
  }

  /** Processes a change of the node's addresses; undefined: changes may have been missed. */
  onAddressChange(change: AddressChange | undefined): void {
    this.#addresses.onAddressChange(change);
  }

  /** Records that the kernel lacks these schedulers. Returns whether one of them is new. */
  addMissingSchedulers(missing: readonly Scheduler[]): boolean {
    const fresh = missing.filter((scheduler) => !this.#missingSchedulers.has(scheduler));
    if (fresh.length === 0) return false;
    for (const scheduler of fresh) this.#missingSchedulers.add(scheduler);
    const { scheduler } = this.#options;
    if (fresh.includes(scheduler))
      this.#dependencies.logger.error({ scheduler }, "the configured IPVS scheduler is not available in this kernel");
    this.#refresh();
    return true;
  }

  #refresh(): void {
    const { nodeName, localMode } = this.#options;
    const table = this.#callbacks.table();
    this.#absence.check(table);
    const node = table.node(nodeName);
    // Without a Node since the start there may be no API server. If the Node was deleted, the node leaves the cluster.
    this.#callbacks.onNode(node ?? { leaving: this.#absence.wasFound });
    if (node !== undefined && localMode === "NodeCIDR") this.#preparation.followPods(node.podCIDRs);
    const facts = nodeFacts(this.#options, this.families, {
      nodes: table.nodes(),
      addresses: this.#addresses.current,
      apiServers: apiServers(table, this.#dependencies.apiServers()),
      missingSchedulers: [...this.#missingSchedulers],
    });
    if (sameNodeFacts(facts, this.#facts)) return;
    this.#facts = facts;
    this.#dependencies.logger.info({ ...facts, reserved: [...facts.reserved.keys()] }, "node facts changed");
    this.#callbacks.onFacts(facts);
  }
}
