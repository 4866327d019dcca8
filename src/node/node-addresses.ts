import type { Kernel } from "../kernel/kernel.ts";
import { DUMMY_NAME } from "../kernel/link/client.ts";
import type { AddressChange } from "../kernel/link/monitor.ts";
import type { IPAddress } from "../model/address.ts";
import { KernelError } from "../model/kernel/kernel-error.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import { AddressChangeBuffer, type ExpectedAddresses } from "./address-change-buffer.ts";

/** The time for which changes are collected: they come in bursts. */
const GATHER_MS = 20;

export interface NodeAddressesDependencies {
  readonly kernel: Pick<Kernel, "nodeAddresses">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface NodeAddressesCallbacks extends Pick<ExpectedAddresses, "binding" | "isDesired" | "isOthers"> {
  /** Called after the addresses were read because the kernel reported a change. */
  readonly onRead: () => void;
  /** Called when another process changed the virtual addresses. */
  readonly onMeddling: () => void;
}

/**
 * Tracks the addresses of this node. They are read in each resync, and in between when the kernel reports a change.
 */
export class NodeAddresses {
  readonly #dependencies: NodeAddressesDependencies;
  readonly #callbacks: NodeAddressesCallbacks;
  readonly #news = new AddressChangeBuffer();
  #isGathering = false;
  #wasRead = false;
  readonly #end = new AbortController();
  #current: readonly IPAddress[] = [];

  constructor(dependencies: NodeAddressesDependencies, callbacks: NodeAddressesCallbacks) {
    this.#dependencies = dependencies;
    this.#callbacks = callbacks;
  }

  /** The addresses of all interfaces except kube-ipvs0 at the last read. */
  get current(): readonly IPAddress[] {
    return this.#current;
  }

  /** Reads the addresses from the kernel. Rejects if the request fails. */
  async read(): Promise<void> {
    this.#current = await this.#dependencies.kernel.nodeAddresses();
    this.#wasRead = true;
  }

  /** Processes a change that the kernel reports; undefined: changes may have been missed. */
  onAddressChange(change: AddressChange | undefined): void {
    if (change === undefined) this.#news.markIncomplete();
    else this.#news.add(change);
    if (this.#isGathering || this.#end.signal.aborted) return;
    this.#isGathering = true;
    void this.#judge();
  }

  /** Ignores all further changes: the agent ends, and the connection to the kernel is closed. */
  stop(): void {
    this.#end.abort();
  }

  async #judge(): Promise<void> {
    await this.#dependencies.clock.sleep(GATHER_MS, this.#end.signal);
    this.#isGathering = false;
    if (this.#end.signal.aborted) return;
    const { binding, isDesired, isOthers, onRead, onMeddling } = this.#callbacks;
    const known = { dummy: DUMMY_NAME, ofNode: this.#current, binding, isDesired, isOthers };
    const { readNode, resync: look } = this.#news.take(known);
    if (look) onMeddling();
    // Before the first resync, which reads the addresses, they are not needed.
    if (!readNode || !this.#wasRead) return;
    try {
      await this.read();
      onRead();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      if (this.#end.signal.aborted) return;
      this.#dependencies.logger.warn(
        { err: error },
        "cannot read the addresses of this node; the next resync tries again",
      );
    }
  }
}
