import type { Cidr } from "../../model/address.ts";
import type { VirtualServer, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import type { Clock } from "../../model/time/clock.ts";
import type { VipBinding } from "../../model/vip-binding.ts";
import type { Desired } from "../desired.ts";
import type { ActualState } from "../resync/actual-state.ts";
import { type DrainedServers, Draining, quiescent } from "./drain.ts";
import { OwnershipTracker } from "./ownership.ts";
import type { Planned, PlanView } from "./plan.ts";
import { releaseLimitMs } from "./release.ts";

export interface ServerTrackerOptions {
  readonly nodeName: string;
  /** Virtual servers and addresses in these networks are never removed. */
  readonly excludeCIDRs: readonly Cidr[];
  /** How VIPs are bound. */
  readonly vipBinding: VipBinding;
  /** How long an unwanted TCP real server may wait for its connections to end; 0: it is deleted at once. */
  readonly drainTimeoutMs: number;
}

export interface ServerTrackerDependencies {
  readonly desired: Desired;
  readonly actual: ActualState;
  readonly clock: Pick<Clock, "now">;
}

/** Tracks which of the actual virtual servers are ours, and which of their real servers drain. */
export class ServerTracker {
  readonly draining: Draining;
  /** The input of plans in which no draining real server may be deleted. */
  readonly view: PlanView;
  #options: ServerTrackerOptions;
  readonly #desired: Desired;
  readonly #actual: ActualState;
  readonly #clock: Pick<Clock, "now">;
  readonly #ownership: OwnershipTracker;

  constructor(options: ServerTrackerOptions, { desired, actual, clock }: ServerTrackerDependencies) {
    this.#options = options;
    this.#desired = desired;
    this.#actual = actual;
    this.#clock = clock;
    this.#ownership = new OwnershipTracker(options.excludeCIDRs);
    this.draining = new Draining(options.drainTimeoutMs);
    this.view = this.#viewWith((server) => !this.#drains(server));
  }

  /** Sets the default time limit of draining. */
  setDrainTimeout(drainTimeoutMs: number): void {
    this.#options = { ...this.#options, drainTimeoutMs };
    this.draining.setLimit(drainTimeoutMs);
  }

  /** The actual virtual servers that are not ours. */
  get foreign(): ReadonlySet<VirtualServerKey> {
    return this.#ownership.foreign;
  }

  /** Returns the input of plans in which these draining real servers may be deleted. */
  viewOf(due: DrainedServers): PlanView {
    return this.#viewWith((server, real) => !this.#drains(server) || due.get(server.key)?.has(real.key) === true);
  }

  /** The virtual server is ours from now on. */
  markOurs(key: VirtualServerKey): void {
    this.#ownership.markOurs(key);
  }

  /** Decides whether a virtual server is ours and which of its real servers drain. */
  classify(key: VirtualServerKey): void {
    const have = this.#actual.server(key);
    if (have === undefined) {
      this.#ownership.forget(key);
      this.draining.forget(key);
      return;
    }
    const want = this.#desired.server(key);
    const ours = this.#ownership.classify(have.server, want !== undefined, this.#actual);
    const limitMs = want === undefined ? this.#limitOfUnwanted(have.server) : want.server.drainTimeoutMs;
    const waiting = ours && this.draining.drains(have.server.protocol, limitMs) ? quiescent(want, have) : [];
    if (waiting.length === 0) this.draining.forget(key);
    else this.draining.set(key, waiting, limitMs, this.#clock.now());
  }

  /** As `classify`, if the virtual server exists. */
  classifyActual(key: VirtualServerKey): void {
    if (this.#actual.server(key) !== undefined) this.classify(key);
  }

  /** Classifies the virtual servers whose operations are done, except those that have the desired state while none drains. */
  reclassify(keys: Iterable<VirtualServerKey>, reached: Planned["reached"]): void {
    for (const key of keys) {
      if (reached.has(key)) this.#ownership.markOurs(key);
      if (!reached.has(key) || this.draining.size > 0) this.classify(key);
    }
  }

  /** Classifies again after any virtual server may have changed, and forgets the deleted ones. */
  reviseAll(): void {
    this.#ownership.retain((key) => this.#actual.server(key) !== undefined);
    for (const key of [...this.draining.servers()]) this.classify(key);
  }

  #viewWith(mayDelete: PlanView["mayDelete"]): PlanView {
    return {
      desired: this.#desired,
      actual: this.#actual,
      nodeName: this.#options.nodeName,
      binding: this.#options.vipBinding,
      drains: (server) => this.#drains(server),
      mayDelete,
      isOurs: (server) => this.#ownership.isOurs(server, this.#actual),
      isExcluded: (address) => this.#ownership.isExcluded(address),
    };
  }

  #drains(server: VirtualServer): boolean {
    return this.draining.drains(server.protocol, this.draining.limitOf(server));
  }

  /** The shorter of the limit of its Service and the limit of its address. */
  #limitOfUnwanted(server: VirtualServer): number | undefined {
    const askedMs = this.draining.limitOf(server);
    const releaseMs = releaseLimitMs(server, this.#desired, this.#actual);
    return releaseMs === undefined ? askedMs : Math.min(releaseMs, askedMs ?? this.#options.drainTimeoutMs);
  }
}
