import { expect } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { type Scheduler, type VirtualServer, virtualServer } from "../../../src/model/kernel/ipvs.ts";
import { KernelError } from "../../../src/model/kernel/kernel-error.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import type { Desired } from "../../../src/sync/desired.ts";
import { Reconciler } from "../../../src/sync/reconciler.ts";
import type { ReconcilerOptions } from "../../../src/sync/reconciler-options.ts";
import { SyncLoop } from "../../../src/sync/sync-loop.ts";
import type { ResyncReport, SyncReport } from "../../../src/sync/sync-report.ts";
import { MemoryKernel } from "../memory-kernel/memory-kernel.ts";
import { address, realServer } from "../objects/desired.ts";
import { naiveNode, type SmallService, smallWants } from "./naive-node.ts";
import { WatchedKernel } from "./watched-kernel.ts";

/** How long TCP real servers may drain in this world. */
export const DRAIN_TIMEOUT_MS = 60_000;

/** Virtual servers of somebody else beside ours, on the numbers of our ports and NodePorts. */
export const FOREIGN: ReadonlyMap<string, VirtualServer> = new Map(
  (["TCP", "UDP"] as const)
    .flatMap((protocol) =>
      [80, 30_001].map((port) =>
        virtualServer(protocol, address("192.0.2.1"), port, { scheduler: "wlc" as Scheduler }),
      ),
    )
    .map((server) => [server.key, server]),
);
const FOREIGN_REAL = realServer(address("192.0.2.7"), 80, 3);

/** The same as `ipvsadm -Sn` prints it. */
const FOREIGN_TEXT = Object.fromEntries(
  [80, 30_001].flatMap((port) =>
    (["t", "u"] as const).map((letter) => [
      `${letter === "t" ? "TCP" : "UDP"}/192.0.2.1:${port}`,
      [`-A -${letter} 192.0.2.1:${port} -s wlc`, `-a -${letter} 192.0.2.1:${port} -r 192.0.2.7:80 -m -w 3`],
    ]),
  ),
);

/** A reconciler, and a sync loop that runs nothing by itself: the test chooses each moment. */
export interface SteppedSync {
  readonly reconciler: Reconciler;
  readonly loop: SyncLoop;
}

/** Both for this kernel, at a time that the test sets. Not open. */
export function steppedSync(
  kernel: Kernel,
  desired: Desired,
  now: () => number,
  options: Partial<ReconcilerOptions> = {},
): SteppedSync {
  const reconciler = new Reconciler(
    { nodeName: "n1", excludeCIDRs: [], drainTimeoutMs: DRAIN_TIMEOUT_MS, drainCheckMs: 5_000, ...options },
    { kernel, desired, clock: { now }, prepare: async () => {}, nextTurn: async () => {} },
  );
  const loop = new SyncLoop(
    { minSyncPeriodMs: 0, syncPeriodMs: 30_000 },
    {
      reconciler,
      clock: { now, date: () => new Date(0), sleep: async () => {} },
      random: () => 0.5,
      onSync: () => {},
      onResync: () => {},
      onFailure: () => {},
    },
  );
  return { reconciler, loop };
}

/** A node, its kernel and an agent's core that may be killed and started again. */
export class SyncWorld {
  readonly memory = new MemoryKernel();
  readonly kernel: WatchedKernel;
  readonly services = new Map<string, SmallService>();
  desired = new DesiredState();
  nowMs = 1_000_000;
  sync: SteppedSync;
  #slowLook: { readonly arrive: () => void; readonly ended: Promise<ResyncReport | undefined> } | undefined;
  #lookEnded: Promise<ResyncReport | undefined> | undefined;
  /** Of the last flush; undefined: the kernel did not answer. */
  lastSync: SyncReport | undefined;

  private constructor() {
    this.kernel = new WatchedKernel(this.memory, {
      desired: () => this.desired,
      nowMs: () => this.nowMs,
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
      foreign: new Set(FOREIGN.keys()),
    });
    this.sync = this.#start();
  }

  get reconciler(): Reconciler {
    return this.sync.reconciler;
  }

  get loop(): SyncLoop {
    return this.sync.loop;
  }

  /** A prepared node with nothing on it but virtual servers of somebody else. */
  static async create(): Promise<SyncWorld> {
    const world = new SyncWorld();
    await world.memory.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
    for (const server of FOREIGN.values()) {
      world.memory.meddle({ kind: "add-virtual-server", server });
      world.memory.meddle({ kind: "add-real-server", server, real: FOREIGN_REAL });
    }
    return world;
  }

  /** A new process: it knows nothing, and is told all Services. */
  restart(): void {
    void this.endLook();
    this.desired = new DesiredState();
    this.sync = this.#start();
    for (const [name, service] of this.services) this.#replace(name, service);
  }

  change(name: string, to: SmallService | undefined): void {
    if (to === undefined) this.services.delete(name);
    else this.services.set(name, to);
    this.#replace(name, to);
  }

  /** Returns what was done. */
  async flush(): Promise<readonly Operation[]> {
    // The loop waits for the look.
    if (!this.reconciler.isKnown) await this.endLook();
    this.kernel.forget();
    this.lastSync = await this.#tolerate(() => this.loop.sync());
    this.kernel.onOperation = () => {};
    return this.kernel.done;
  }

  /** Undefined: the kernel did not answer. */
  async look(): Promise<ResyncReport | undefined> {
    await this.endLook();
    return this.#tolerate(() => this.loop.resync());
  }

  /** A look whose parts arrive up to one, which was read and comes only at `endLook`; meanwhile all else may go on. */
  async beginLook(arrived: number): Promise<void> {
    if (this.#slowLook !== undefined) return;
    await this.#lookEnded;
    const { promise, resolve } = Promise.withResolvers<void>();
    let parts = 0;
    this.kernel.onPart = async () => {
      if (parts++ >= arrived) await promise;
    };
    this.#slowLook = { arrive: resolve, ended: this.#tolerate(() => this.loop.resync()) };
    // It reads in a few turns of the microtask queue.
    await new Promise(setImmediate);
  }

  /** What was read arrives, if a look is under way. */
  async endLook(): Promise<ResyncReport | undefined> {
    this.kernel.onPart = async () => {};
    const look = this.#slowLook;
    this.#slowLook = undefined;
    if (look !== undefined) this.#lookEnded = look.ended;
    look?.arrive();
    return await this.#lookEnded;
  }

  /** Waits for all that is due, as the loop would when it runs, up to an hour. */
  async settle(): Promise<void> {
    const endMs = this.nowMs + 3_600_000;
    for (;;) {
      const atMs = this.loop.workAtMs();
      if (atMs > endMs) return;
      this.nowMs = Math.max(this.nowMs, atMs);
      await this.flush();
    }
  }

  /** All clients close their connections. */
  quiet(): void {
    for (const [key, { reals }] of this.memory.servers())
      for (const real of reals.keys()) this.memory.setConnections(key, real, { active: 0, inactive: 0 });
  }

  /** The virtual servers as `ipvsadm -Sn` prints them, without those of somebody else. */
  ourServers(): readonly string[] {
    const others = Object.values(FOREIGN_TEXT).flat();
    return this.memory
      .ipvsadm()
      .split("\n")
      .filter((line) => !others.includes(line));
  }

  /** What the kernel holds must be what is wanted, to the letter. */
  expectRight(): void {
    const wanted = naiveNode(this.services, FOREIGN_TEXT);
    expect(this.memory.ipvsadm()).toBe(wanted.servers);
    expect(this.memory.addresses()).toEqual(wanted.addresses);
    expect(this.memory.members()).toEqual(wanted.members);
    expect(this.kernel.violations).toEqual([]);
    const counts = this.desired.counts();
    expect(this.reconciler.state()).toMatchObject({
      actual: counts,
      foreignServers: FOREIGN.size,
      failedObjects: 0,
      drainingRealServers: 0,
    });
    expect(this.reconciler.state().oldestPendingMs).toBe(0);
  }

  #start(): SteppedSync {
    const sync = steppedSync(this.kernel, this.desired, () => this.nowMs);
    sync.loop.open();
    return sync;
  }

  #replace(name: string, service: SmallService | undefined): void {
    const [namespace = "", short = ""] = name.split("/");
    const known = serviceName(namespace, short);
    const wants = service === undefined ? undefined : smallWants(known, service);
    this.loop.mark(this.desired.replace(known, wants));
  }

  async #tolerate<Report>(work: () => Promise<Report>): Promise<Report | undefined> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof KernelError) return undefined;
      throw error;
    }
  }
}
