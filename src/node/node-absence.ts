import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import type { ServiceTable } from "../services/service-table.ts";

/** The time after which a report is repeated: a log that is rotated daily contains the warning in each file. */
const REPEAT_MS = 3_600_000;

/** The part of the configuration that determines whether a Node must exist. */
export interface NodeAbsenceOptions {
  readonly nodeName: string;
  /** "" if Services come from an API server. */
  readonly manifests: string;
}

export interface NodeAbsenceDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: { recordNodeFound(isFound: boolean): void };
  /** Called with each report. */
  readonly onAbsent: (warning: string) => void;
}

/**
 * Reports that no Node has the name of this node, for example because one is the full host name and the other the short
 * one. Nothing fails then, but endpoints are compared with a name that no endpoint has, so traffic policy Local,
 * topology hints and health check node ports find no endpoint on this node.
 */
export class NodeAbsence {
  readonly #config: NodeAbsenceOptions;
  readonly #dependencies: NodeAbsenceDependencies;
  #wasFound = false;
  #reportedAtMs = Number.NEGATIVE_INFINITY;

  constructor(config: NodeAbsenceOptions, dependencies: NodeAbsenceDependencies) {
    this.#config = config;
    this.#dependencies = dependencies;
  }

  /** Whether a Node of this name has existed since the start. */
  get wasFound(): boolean {
    return this.#wasFound;
  }

  /**
   * Checks and reports. Call it when Nodes have changed, and from time to time: the report is repeated after an hour.
   */
  check(table: ServiceTable): void {
    this.#wasFound ||= table.node(this.#config.nodeName) !== undefined;
    const { clock, logger, metrics, onAbsent } = this.#dependencies;
    const isAbsent = this.#isAbsent(table);
    metrics.recordNodeFound(!isAbsent);
    const nowMs = clock.now();
    if (!isAbsent || nowMs - this.#reportedAtMs < REPEAT_MS) return;
    this.#reportedAtMs = nowMs;
    const warning = warningText(this.#config.nodeName, table);
    logger.warn({ node: this.#config.nodeName, warning }, "no Node has the name of this node");
    onAbsent(warning);
  }

  /**
   * Whether the Node is missing. A Node that is deleted later means that the node leaves. Manifests need not contain
   * Nodes.
   */
  #isAbsent(table: ServiceTable): boolean {
    if (this.#wasFound || !table.isListed("nodes")) return false;
    return this.#config.manifests === "" || table.nodes().length > 0;
  }
}

function warningText(nodeName: string, table: ServiceTable): string {
  const [other] = table.nodes();
  const example = other === undefined ? "" : `, for example "${other.name}"`;
  return `no Node is named "${nodeName}", so no endpoint counts as local to this node: set --node-name or --hostname-override to the name in "kubectl get nodes"${example}`;
}
