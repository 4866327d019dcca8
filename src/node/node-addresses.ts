import type { Kernel } from "../kernel/kernel.ts";
import { DUMMY_NAME } from "../kernel/link/client.ts";
import type { AddressChange } from "../kernel/link/monitor.ts";
import type { IPAddress } from "../model/address.ts";
import type { Clock } from "../model/clock.ts";
import { KernelError } from "../model/kernel/kernel-error.ts";
import type { Logger } from "../model/logger.ts";
import { AddressNews, type KnownAddresses } from "./address-news.ts";

/** So long news are gathered: they come in bunches. */
const GATHER_MS = 20;

export interface NodeAddressesParts {
  readonly kernel: Pick<Kernel, "nodeAddresses">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface NodeAddressesUse extends Pick<KnownAddresses, "isWanted" | "isOthers"> {
  /** The addresses were read because of news. */
  readonly onRead: () => void;
  /** Somebody changed the virtual addresses. */
  readonly onMeddling: () => void;
}

/** The addresses of this node, read with every look and followed in between by what the kernel tells. */
export class NodeAddresses {
  readonly #parts: NodeAddressesParts;
  readonly #use: NodeAddressesUse;
  readonly #news = new AddressNews();
  #isGathering = false;
  #wasRead = false;
  #current: readonly IPAddress[] = [];

  constructor(parts: NodeAddressesParts, use: NodeAddressesUse) {
    this.#parts = parts;
    this.#use = use;
  }

  /** On every interface but kube-ipvs0, as they were read last. */
  get current(): readonly IPAddress[] {
    return this.#current;
  }

  /** Asks the kernel; rejects when that does not answer. */
  async read(): Promise<void> {
    this.#current = await this.#parts.kernel.nodeAddresses();
    this.#wasRead = true;
  }

  /** Takes in what the kernel tells; undefined: something may have been missed. */
  hear(change: AddressChange | undefined): void {
    if (change === undefined) this.#news.noteGap();
    else this.#news.note(change);
    if (this.#isGathering) return;
    this.#isGathering = true;
    void this.#judge();
  }

  async #judge(): Promise<void> {
    await this.#parts.clock.sleep(GATHER_MS, NEVER);
    this.#isGathering = false;
    const { isWanted, isOthers, onRead, onMeddling } = this.#use;
    const known = { dummy: DUMMY_NAME, ofNode: this.#current, isWanted, isOthers };
    const { readNode, look } = this.#news.take(known);
    if (look) onMeddling();
    // Before the first look, which reads them, nobody needs them.
    if (!readNode || !this.#wasRead) return;
    try {
      await this.read();
      onRead();
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.#parts.logger.warn({ err: error }, "cannot read the addresses of this node; the next look will");
    }
  }
}

const NEVER = new AbortController().signal;
