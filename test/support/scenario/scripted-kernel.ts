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

interface Refusal {
  readonly errno: Errno;
  readonly kind: OperationKind;
  /** Part of what describeOperation says of the object. */
  readonly object: string;
}

/**
 * Another kernel, memory or real, with what a scenario decides itself: the addresses of the node, what is refused, and how
 * many connections live. Of the machine around it nothing is reported.
 */
export class ScriptedKernel implements Kernel {
  readonly #inner: Kernel;
  readonly #activity: Activity;
  readonly #refusals: Refusal[] = [];
  readonly #connections = new Map<string, number>();
  #addresses: readonly IPAddress[] = [];
  /** Operations that were asked for. */
  asked = 0;
  /** Schedulers that virtual servers were refused for. */
  readonly missingSchedulers = new Set<Scheduler>();

  /** Each request to it is part of the activity. */
  constructor(inner: Kernel, activity: Activity) {
    this.#inner = inner;
    this.#activity = activity;
  }

  refuse(refusal: Refusal): void {
    this.#refusals.push(refusal);
  }

  allow(): void {
    this.#refusals.length = 0;
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
    this.asked += operations.length;
    const outcomes = await this.#activity.of(this.#apply(operations));
    operations.forEach((operation, index) => {
      const outcome = outcomes[index];
      const isServer = operation.kind === "add-virtual-server" || operation.kind === "update-virtual-server";
      if (isServer && outcome?.ok === false && outcome.errno === "ENOENT")
        this.missingSchedulers.add(operation.server.scheduler);
    });
    return outcomes;
  }

  /** Without one that is refused, the others reach the kernel in one call and in their order. */
  async #apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    const refusals = operations.map((operation) => this.#refusalOf(operation));
    const passed = await this.#inner.apply(operations.filter((_, index) => refusals[index] === undefined));
    const outcomes = passed.values();
    return refusals.map((refusal) => refusal ?? outcomes.next().value ?? missingOutcome());
  }

  async connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>> {
    const counted = await this.#activity.of(this.#inner.connections(servers));
    const said = (server: VirtualServerKey, real: RealServerKey) => this.#connections.get(`${server} ${real}`) ?? 0;
    return new Map(
      [...counted].map(([server, reals]) => [
        server,
        new Map([...reals.keys()].map((real) => [real, { active: said(server, real), inactive: 0 }])),
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

  #refusalOf(operation: Operation): Outcome | undefined {
    const object = describeOperation(operation);
    const found = this.#refusals.find((refusal) => refusal.kind === operation.kind && object.includes(refusal.object));
    return found === undefined ? undefined : { ok: false, errno: found.errno };
  }
}

function missingOutcome(): never {
  throw new Error("The kernel gave fewer outcomes than there were operations");
}
