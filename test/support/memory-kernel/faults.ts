import type { Outcome } from "../../../src/kernel/kernel.ts";
import type { Errno } from "../../../src/model/kernel/errno.ts";
import { KernelError } from "../../../src/model/kernel/kernel-error.ts";
import { describeOperation, type Operation } from "../../../src/model/kernel/operation.ts";

/** Operations that fail, so many times. */
export interface Fault {
  readonly applies: (operation: Operation) => boolean;
  readonly errno: Errno;
  left: number;
}

/** The error of a call whose netlink socket failed. */
export class TransportLost extends KernelError {
  override readonly name = "TransportLost";
}

/** The faults of a kernel: failed operations, failing reads, and a transport that is lost. */
export class Faults {
  #faults: Fault[] = [];
  /** After this many more operations the transport is lost once. */
  operationsUntilLoss = Number.POSITIVE_INFINITY;
  /** This many more reads fail. */
  readsToFail = 0;

  fail(fault: Fault): void {
    this.#faults.push(fault);
  }

  /** Ends all faults. */
  end(): void {
    this.#faults = [];
    this.operationsUntilLoss = Number.POSITIVE_INFINITY;
    this.readsToFail = 0;
  }

  /** An operation is sent: throws if the transport is lost before it. */
  send(operation: Operation): void {
    if (this.operationsUntilLoss === 0) {
      this.operationsUntilLoss = Number.POSITIVE_INFINITY;
      throw new TransportLost(`Transport lost before ${describeOperation(operation)}`);
    }
    this.operationsUntilLoss--;
  }

  /** Something is read: throws if reads fail. */
  read(): void {
    if (this.readsToFail === 0) return;
    this.readsToFail--;
    throw new TransportLost("Transport lost in a read");
  }

  /** The outcome of an operation that fails. */
  outcomeOf(operation: Operation): Outcome | undefined {
    const fault = this.#faults.find(({ applies, left }) => left > 0 && applies(operation));
    if (fault === undefined) return undefined;
    fault.left--;
    return { ok: false, errno: fault.errno };
  }
}
