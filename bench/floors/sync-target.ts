import { availableParallelism, release } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { readCommandLine } from "../../src/config/cli.ts";
import type { Config } from "../../src/config/config.ts";
import { DesiredStateBuilder } from "../../src/desired/desired-state-builder.ts";
import type { Kernel, NodeSetup } from "../../src/kernel/kernel.ts";
import { NOTHING_DISCOVERED, nodeFacts } from "../../src/node/node-facts.ts";
import { nodeSetup } from "../../src/node/node-setup.ts";
import { systemClock } from "../../src/process/system-clock.ts";
import type { ClusterEvent } from "../../src/services/cluster-event.ts";
import { Reconciler } from "../../src/sync/reconciler.ts";
import { SyncLoop } from "../../src/sync/sync-loop.ts";

/** The value that the agent uses. */
const SERVICES_PER_TURN = 50;
const NO_END_MS = 1e9;

/** The operations of syncs, without searches for stale flows, and those of them that failed. */
export interface Synced {
  readonly operations: number;
  readonly refused: number;
}

/**
 * The part of the agent from Services and slices in memory to the kernel: service table, desired state, plan and
 * operations. Nothing runs by itself.
 */
export class SyncTarget {
  readonly #state: DesiredStateBuilder;
  readonly #setup: NodeSetup;
  readonly #kernel: Kernel;
  #loop: SyncLoop;

  constructor(kernel: Kernel) {
    const argv = ["--node-name=bench", "--manifests=none", "--conntrack-max-per-core=0"];
    const invocation = readCommandLine(argv, { env: {}, hostname: "bench", readFile: () => "" });
    if (invocation.kind !== "command") throw new Error(JSON.stringify(invocation));
    const { config } = invocation;
    this.#kernel = kernel;
    this.#state = new DesiredStateBuilder(nodeFacts(config, ["IPv4"], NOTHING_DISCOVERED));
    this.#setup = nodeSetup(
      config,
      { families: ["IPv4"], cpus: availableParallelism(), kernelRelease: release(), liberalConntrack: false },
      { podCIDRs: [], families: ["IPv4"] },
    );
    this.#loop = this.#newLoop(config);
    this.restart = () => {
      this.#loop = this.#newLoop(config);
    };
  }

  /** Forgets the actual state, as a new process would start. */
  readonly restart: () => void;

  /** Prepares the node and reads the kernel. */
  async resync(): Promise<void> {
    await this.#loop.resync();
  }

  /** Allows syncs: all Services are known. */
  open(): void {
    this.#loop.open();
  }

  /** Takes the first events and computes all Services, without marking them for a sync. */
  load(events: readonly ClusterEvent[]): void {
    for (const event of events) this.#state.apply(event);
    while (this.#state.stale > 0) this.#state.advance(SERVICES_PER_TURN);
  }

  /** Takes events and marks their Services for a sync. */
  apply(events: readonly ClusterEvent[]): void {
    for (const event of events) this.#state.apply(event);
    const nowMs = systemClock.now();
    for (const keys of this.#state.advance(Number.POSITIVE_INFINITY)) this.#loop.mark(keys, nowMs);
  }

  /** Syncs until no work is left. */
  async sync(): Promise<Synced> {
    let operations = 0;
    let refused = 0;
    while (this.#loop.workAtMs() <= systemClock.now()) {
      for (const { kind, count, errno } of (await this.#loop.sync()).operations) {
        if (kind === "forget-flows") continue;
        operations += count;
        if (errno !== "") refused += count;
      }
    }
    return { operations, refused };
  }

  #newLoop({
    nodeName,
    vipBinding,
    drainTimeoutMs,
  }: Pick<Config, "nodeName" | "vipBinding" | "drainTimeoutMs">): SyncLoop {
    const reconciler = new Reconciler(
      { nodeName, excludeCIDRs: [], vipBinding, drainTimeoutMs, drainCheckMs: NO_END_MS },
      {
        kernel: this.#kernel,
        desired: this.#state.desired,
        clock: systemClock,
        prepare: async () => void (await this.#kernel.prepare(this.#setup)),
        nextTurn: () => nextTurn(),
      },
    );
    return new SyncLoop(
      { minSyncPeriodMs: 0, syncPeriodMs: NO_END_MS },
      {
        reconciler,
        clock: systemClock,
        cpuMs: () => 0,
        random: () => 0.5,
        onSync: () => {},
        onResync: () => {},
        onFailure: () => {},
      },
    );
  }
}
