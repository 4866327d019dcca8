import type { Connections, Errno, Kernel, Outcome } from "../../src/kernel/kernel.ts";
import type { RealServerKey, VirtualServerKey } from "../../src/model/ipvs.ts";
import { describeOperation, type Operation, type OperationKind } from "../../src/model/operation.ts";

interface Refusal {
  readonly errno: Errno;
  readonly kind: OperationKind;
  /** Part of what describeOperation says of the object. */
  readonly object: string;
}

/** Another kernel, memory or real, with what a scenario decides itself: what is refused, and how many connections live. */
export class ScriptedKernel implements Kernel {
  readonly #inner: Kernel;
  readonly #refusals: Refusal[] = [];
  readonly #connections = new Map<string, number>();
  /** Operations that were asked for. */
  asked = 0;

  constructor(inner: Kernel) {
    this.#inner = inner;
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

  /** Without one that is refused, the others reach the kernel in one call and in their order. */
  async apply(operations: readonly Operation[]): Promise<readonly Outcome[]> {
    this.asked += operations.length;
    const refusals = operations.map((operation) => this.#refusalOf(operation));
    const passed = await this.#inner.apply(operations.filter((_, index) => refusals[index] === undefined));
    const outcomes = passed.values();
    return refusals.map((refusal) => refusal ?? outcomes.next().value ?? missingOutcome());
  }

  async connections(
    servers: ReadonlySet<VirtualServerKey>,
  ): Promise<ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, Connections>>> {
    const counted = await this.#inner.connections(servers);
    const said = (server: VirtualServerKey, real: RealServerKey) => this.#connections.get(`${server} ${real}`) ?? 0;
    return new Map(
      [...counted].map(([server, reals]) => [
        server,
        new Map([...reals.keys()].map((real) => [real, { active: said(server, real), inactive: 0 }])),
      ]),
    );
  }

  prepare(...setup: Parameters<Kernel["prepare"]>): ReturnType<Kernel["prepare"]> {
    return this.#inner.prepare(...setup);
  }

  writeRules(...setup: Parameters<Kernel["writeRules"]>): ReturnType<Kernel["writeRules"]> {
    return this.#inner.writeRules(...setup);
  }

  observe(...scope: Parameters<Kernel["observe"]>): ReturnType<Kernel["observe"]> {
    return this.#inner.observe(...scope);
  }

  parts(): ReturnType<Kernel["parts"]> {
    return this.#inner.parts();
  }

  nodeAddresses(): ReturnType<Kernel["nodeAddresses"]> {
    return this.#inner.nodeAddresses();
  }

  remove(...families: Parameters<Kernel["remove"]>): ReturnType<Kernel["remove"]> {
    return this.#inner.remove(...families);
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
