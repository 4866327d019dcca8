import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../../../src/model/time/clock.ts";

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** A clock that stands still until a test moves it. Its two times begin far apart, so that no test takes one for the other. */
export class HandClock implements Clock {
  #nowMs = 1_000_000;
  #wallZeroMs = 1_800_000_000_000;
  readonly #sleepers = new Set<Sleeper>();
  readonly #settled: () => Promise<void>;

  /** `settled` resolves when all that can be done without time passing is done; by default after two turns of the event loop. */
  constructor(settled: () => Promise<void> = settle) {
    this.#settled = settled;
  }

  now(): number {
    return this.#nowMs;
  }

  date(): Date {
    return new Date(this.#wallZeroMs + this.#nowMs);
  }

  /** Sets the wall clock on, or back for a negative number; no time passes by that. */
  stepWall(ms: number): void {
    this.#wallZeroMs += ms;
  }

  /** How many wait. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        this.#sleepers.delete(sleeper);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const sleeper = { atMs: this.#nowMs + ms, wake };
      this.#sleepers.add(sleeper);
      signal.addEventListener("abort", wake);
    });
  }

  /** Moves on by `ms`, stopping wherever someone wants to be woken. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.#settled();
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.atMs > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
      await this.#settled();
    }
    this.#nowMs = endMs;
  }

  /** Moves on to when the next one wakes. */
  async advanceToNext(): Promise<void> {
    await this.#settled();
    const next = this.#earliest();
    if (next !== undefined) await this.advance(Math.max(0, next.atMs - this.#nowMs));
  }

  #earliest(): Sleeper | undefined {
    let earliest: Sleeper | undefined;
    for (const sleeper of this.#sleepers)
      if (earliest === undefined || sleeper.atMs < earliest.atMs) earliest = sleeper;
    return earliest;
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  await setImmediate();
  await setImmediate();
}
