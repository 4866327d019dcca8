import type {
  ConnectionCounts,
  Kernel,
  NodeSetup,
  Observed,
  Outcome,
  SetupReport,
} from "../../../src/kernel/kernel.ts";
import type { IPAddress } from "../../../src/model/address.ts";
import type { Errno } from "../../../src/model/kernel/errno.ts";
import type { RealServerKey, Scheduler, VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import { describeOperation, type Operation, type OperationKind } from "../../../src/model/kernel/operation.ts";
import type { Activity } from "../time/activity.ts";

interface Fault {
  readonly errno: Errno;
  readonly kind: OperationKind;
  /** Part of the object's text from describeOperation. */
  readonly object: string;
}

/**
 * Wraps another kernel, memory or real. The scenario decides the addresses of the node, which operations fail, and how
 * many connections are open. It reports nothing about the host.
 */
export class ScriptedKernel implements Kernel {
  readonly #inner: Kernel;
  readonly #activity: Activity;
  readonly #faults: Fault[] = [];
  readonly #connections = new Map<string, number>();
  #addresses: readonly IPAddress[] = [];
  /** Operations requested so far. */
  asked = 0;
  /** Schedulers for which the kernel answered ENOENT. */
  readonly missingSchedulers = new Set<Scheduler>();

  /** Each request to it is part of the activity. */
  constructor(inner: Kernel, activity: Activity) {
    this.#inner = inner;
    this.#activity = activity;
  }

  failOperations(fault: Fault): void {
    this.#faults.push(fault);
  }

  allow(): void {
    this.#faults.length = 0;
  }

  connect(server: string, real: string, connections: number): void {
    this.#connections.set(`${server} ${real}`, connections);
  }

  /** What the interfaces of the node have from now on. */
  setNodeAddresses(addresses: readonly IPAddress[]): void {
    this.#addresses = addresses;
  }

  async nodeAddresses(): Promise<readonly IPAddress[]> {
    return this.#addresses;
  }

  async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    this.asked += operations.filter(({ kind }) => kind !== "forget-flows").length;
    const outcomes = await this.#activity.of(this.#apply(operations));
    operations.forEach((operation, index) => {
      const outcome = outcomes[index];
      const isServer = operation.kind === "add-virtual-server" || operation.kind === "update-virtual-server";
      if (isServer && outcome?.ok === false && outcome.errno === "ENOENT")
        this.missingSchedulers.add(operation.server.scheduler);
    });
    return outcomes;
  }

  /** Operations without a fault reach the kernel in one call, in their order. */
  async #apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const faults = operations.map((operation) => this.#faultOf(operation));
    const passed = await this.#inner.apply(operations.filter((_, index) => faults[index] === undefined));
    const outcomes = passed.values();
    return faults.map((fault) => fault ?? outcomes.next().value ?? missingOutcome());
  }

  async connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>> {
    const counted = await this.#activity.of(this.#inner.connections(servers));
    const scripted = (server: VirtualServerKey, real: RealServerKey) => this.#connections.get(`${server} ${real}`) ?? 0;
    return new Map(
      [...counted].map(([server, reals]) => [
        server,
        new Map([...reals.keys()].map((real) => [real, { active: scripted(server, real), inactive: 0 }])),
      ]),
    );
  }

  async prepare(setup: NodeSetup): Promise<SetupReport> {
    const { changed, warnings } = await this.#activity.of(this.#inner.prepare(setup));
    return { changed, warnings };
  }

  writeRules(setup: NodeSetup): ReturnType<Kernel["writeRules"]> {
    return this.#activity.of(this.#inner.writeRules(setup));
  }

  observe(...scope: Parameters<Kernel["observe"]>): ReturnType<Kernel["observe"]> {
    return this.#activity.of(this.#inner.observe(...scope));
  }

  async *parts(): AsyncGenerator<Observed> {
    const parts = this.#inner.parts()[Symbol.asyncIterator]();
    for (;;) {
      const { done = false, value } = await this.#activity.of(parts.next());
      if (done) return;
      yield value;
    }
  }

  remove(...families: Parameters<Kernel["remove"]>): ReturnType<Kernel["remove"]> {
    return this.#activity.of(this.#inner.remove(...families));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #faultOf(operation: Operation): Outcome | undefined {
    const object = describeOperation(operation);
    const match = this.#faults.find((fault) => fault.kind === operation.kind && object.includes(fault.object));
    return match === undefined ? undefined : { ok: false, errno: match.errno };
  }
}

function missingOutcome(): never {
  throw new Error("The kernel returned fewer outcomes than operations");
}
