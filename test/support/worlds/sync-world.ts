import { expect } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import { serviceName } from "../../../src/model/cluster/service.ts";
import { type Scheduler, type VirtualServer, virtualServer } from "../../../src/model/kernel/ipvs.ts";
import { KernelError } from "../../../src/model/kernel/kernel-error.ts";
import { describeOperation, type Operation } from "../../../src/model/kernel/operation.ts";
import type { VipBinding } from "../../../src/model/vip-binding.ts";
import type { Desired } from "../../../src/sync/desired.ts";
import { Reconciler } from "../../../src/sync/reconciler.ts";
import type { ReconcilerOptions } from "../../../src/sync/reconciler-options.ts";
import { SyncLoop } from "../../../src/sync/sync-loop.ts";
import type { ResyncReport, SyncReport } from "../../../src/sync/sync-report.ts";
import { MemoryKernel } from "../memory-kernel/memory-kernel.ts";
import { address, realServer } from "../objects/desired.ts";
import { naiveNode, type SmallService, smallServiceState } from "./naive-node.ts";
import { WatchedKernel } from "./watched-kernel.ts";
import { POD1, VIP } from "./web-service.ts";

/** How long TCP real servers may drain in this world. */
export const DRAIN_TIMEOUT_MS = 60_000;

/** Foreign virtual servers, on the numbers of our ports and NodePorts. */
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

/** A reconciler, and a sync loop that runs nothing by itself: the test starts each sync and resync. */
export interface SteppedSync {
  readonly reconciler: Reconciler;
  readonly loop: SyncLoop;
}

/** A reconciler and its sync loop for this kernel, at a time that the test sets. The loop is not open. */
export function steppedSync(
  kernel: Kernel,
  desired: Desired,
  now: () => number,
  options: Partial<ReconcilerOptions> = {},
): SteppedSync {
  const reconciler = new Reconciler(
    {
      nodeName: "n1",
      excludeCIDRs: [],
      vipBinding: "address",
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
      drainCheckMs: 5_000,
      ...options,
    },
    { kernel, desired, clock: { now }, prepare: async () => {}, nextTurn: async () => {} },
  );
  const loop = new SyncLoop(
    { minSyncPeriodMs: 0, syncPeriodMs: 30_000 },
    {
      reconciler,
      clock: { now, date: () => new Date(0), sleep: async () => {} },
      cpuMs: () => 0,
      random: () => 0.5,
      onSync: () => {},
      onResync: () => {},
      onFailure: () => {},
    },
  );
  return { reconciler, loop };
}

/** A node, its kernel, and the core of an agent that may be killed and started again. */
export class SyncWorld {
  readonly memory = new MemoryKernel();
  readonly kernel: WatchedKernel;
  readonly services = new Map<string, SmallService>();
  desired = new DesiredState();
  nowMs = 1_000_000;
  /** How the next process binds VIPs. */
  vipBinding: VipBinding = "address";
  stepped: SteppedSync;
  #slowResync: { readonly arrive: () => void; readonly ended: Promise<ResyncReport | undefined> } | undefined;
  #resyncEnded: Promise<ResyncReport | undefined> | undefined;
  /** Of the last sync; undefined: the kernel did not answer. */
  lastSync: SyncReport | undefined;

  private constructor() {
    this.kernel = new WatchedKernel(this.memory, {
      desired: () => this.desired,
      nowMs: () => this.nowMs,
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
      foreign: new Set(FOREIGN.keys()),
    });
    this.stepped = this.#start();
  }

  get reconciler(): Reconciler {
    return this.stepped.reconciler;
  }

  get loop(): SyncLoop {
    return this.stepped.loop;
  }

  /** A prepared node with only foreign virtual servers on it. */
  static async create(): Promise<SyncWorld> {
    const world = new SyncWorld();
    await world.memory.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
    for (const server of FOREIGN.values()) {
      world.memory.meddle({ kind: "add-virtual-server", server });
      world.memory.meddle({ kind: "add-real-server", server, real: FOREIGN_REAL });
    }
    return world;
  }

  /** Starts a new process: it has no state, and receives all Services. */
  restart(): void {
    void this.endResync();
    this.desired = new DesiredState();
    this.stepped = this.#start();
    for (const [name, service] of this.services) this.#replace(name, service);
  }

  change(name: string, to: SmallService | undefined): void {
    if (to === undefined) this.services.delete(name);
    else this.services.set(name, to);
    this.#replace(name, to);
  }

  /** Returns the operations that succeeded. */
  async sync(): Promise<readonly Operation[]> {
    // The loop waits for the resync.
    if (!this.reconciler.isKnown) await this.endResync();
    this.kernel.forget();
    this.lastSync = await this.#tolerate(() => this.loop.sync());
    this.kernel.onOperation = () => {};
    return this.kernel.done;
  }

  /** Syncs, and returns the operations that succeeded as text. */
  async syncTexts(): Promise<readonly string[]> {
    return (await this.sync()).map((operation) => `${operation.kind} ${describeOperation(operation)}`);
  }

  /** Sets the number of active connections of a real server. */
  connect(active: number, real = POD1, key = VIP): void {
    this.memory.setConnections(key, real, { active, inactive: 0 });
  }

  /** Undefined: the kernel did not answer. */
  async resync(): Promise<ResyncReport | undefined> {
    await this.endResync();
    return this.#tolerate(() => this.loop.resync());
  }

  /** Starts a resync that reads so many parts; the next part is read and returned only at `endResync`. Other work may go on meanwhile. */
  async beginResync(arrived: number): Promise<void> {
    if (this.#slowResync !== undefined) return;
    await this.#resyncEnded;
    const { promise, resolve } = Promise.withResolvers<void>();
    let parts = 0;
    this.kernel.onPart = async () => {
      if (parts++ >= arrived) await promise;
    };
    this.#slowResync = { arrive: resolve, ended: this.#tolerate(() => this.loop.resync()) };
    // The resync reads in a few turns of the microtask queue.
    await new Promise(setImmediate);
  }

  /** Lets a running resync end. */
  async endResync(): Promise<ResyncReport | undefined> {
    this.kernel.onPart = async () => {};
    const slow = this.#slowResync;
    this.#slowResync = undefined;
    if (slow !== undefined) this.#resyncEnded = slow.ended;
    slow?.arrive();
    return await this.#resyncEnded;
  }

  /** Does all work that comes due within an hour, as a running loop would. */
  async settle(): Promise<void> {
    const endMs = this.nowMs + 3_600_000;
    for (;;) {
      const atMs = this.loop.workAtMs();
      if (atMs > endMs) return;
      this.nowMs = Math.max(this.nowMs, atMs);
      await this.sync();
    }
  }

  /** All clients close their connections. */
  quiet(): void {
    for (const [key, { reals }] of this.memory.servers())
      for (const real of reals.keys()) this.memory.setConnections(key, real, { active: 0, inactive: 0 });
  }

  /** The virtual servers as `ipvsadm -Sn` prints them, without the foreign ones. */
  ourServers(): readonly string[] {
    const others = Object.values(FOREIGN_TEXT).flat();
    return this.memory
      .ipvsadm()
      .split("\n")
      .filter((line) => !others.includes(line));
  }

  /** The kernel must hold exactly the desired state. */
  expectRight(): void {
    const expected = naiveNode(this.services, FOREIGN_TEXT);
    expect(this.memory.ipvsadm()).toBe(expected.servers);
    const isRouted = this.vipBinding === "route";
    expect(this.memory.addresses()).toEqual(isRouted ? [] : expected.addresses);
    expect(this.memory.routes()).toEqual(isRouted ? expected.addresses : []);
    expect(this.memory.members()).toEqual(expected.members);
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
    const sync = steppedSync(this.kernel, this.desired, () => this.nowMs, { vipBinding: this.vipBinding });
    sync.loop.open();
    return sync;
  }

  #replace(name: string, small: SmallService | undefined): void {
    const [namespace = "", short = ""] = name.split("/");
    const service = serviceName(namespace, short);
    const state = small === undefined ? undefined : smallServiceState(service, small);
    this.loop.mark(this.desired.replace(service, state));
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
