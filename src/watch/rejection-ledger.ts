import type { Clock } from "../model/clock.ts";
import type { Rejection } from "../model/service.ts";

/** A first list may bring thousands; each telling carries all of them. */
const GATHER_MS = 200;

/** Keeps what is wrong with the objects there are, and tells it when that has changed. */
export class RejectionLedger {
  readonly #byObject = new Map<string, readonly Rejection[]>();
  #fresh = new Map<string, readonly Rejection[]>();
  #changed = Promise.withResolvers<void>();

  /** What is wrong with the object now; empty when nothing is. */
  record(object: string, rejections: readonly Rejection[]): void {
    const before = this.#byObject.get(object) ?? [];
    if (JSON.stringify(before) === JSON.stringify(rejections)) return;
    if (rejections.length === 0) this.#byObject.delete(object);
    else this.#byObject.set(object, rejections);
    const told = new Set(before.map((rejection) => JSON.stringify(rejection)));
    this.#fresh.set(
      object,
      rejections.filter((rejection) => !told.has(JSON.stringify(rejection))),
    );
    this.#changed.resolve();
  }

  /** Calls `tell` with all that is wrong now and what of it is new, until the signal is aborted. Rejects if it throws. */
  async run(
    clock: Clock,
    signal: AbortSignal,
    tell: (all: readonly Rejection[], fresh: readonly Rejection[]) => void,
  ): Promise<void> {
    signal.addEventListener("abort", () => this.#changed.resolve());
    while (!signal.aborted) {
      await this.#changed.promise;
      await clock.sleep(GATHER_MS, signal);
      if (signal.aborted) return;
      this.#changed = Promise.withResolvers<void>();
      const fresh = [...this.#fresh.values()].flat();
      this.#fresh = new Map();
      tell([...this.#byObject.values()].flat(), fresh);
    }
  }
}
