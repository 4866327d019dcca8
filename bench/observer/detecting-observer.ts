import { IpvsObserver } from "./ipvs-observer.ts";
import type { Expectation, ModeObserver, Observer } from "./observer.ts";
import { RulesObserver } from "./rules-observer.ts";

/**
 * Finds out how a proxy programs Services: until one of the expectations holds in one mode, all modes are read; from then on
 * that one only.
 */
export class DetectingObserver implements Observer {
  readonly #candidates: readonly ModeObserver[];
  #found: ModeObserver | undefined;

  constructor(
    candidates: readonly ModeObserver[] = [
      new IpvsObserver(),
      new RulesObserver("iptables"),
      new RulesObserver("nftables"),
    ],
  ) {
    this.#candidates = candidates;
  }

  /** Undefined until the mode is known. */
  get mode(): ModeObserver["mode"] | undefined {
    return this.#found?.mode;
  }

  get pauseMs(): number {
    return this.#found?.pauseMs ?? 5;
  }

  get countsOnce(): boolean {
    return this.#found?.countsOnce ?? false;
  }

  async holds(expectations: readonly Expectation[]): Promise<readonly boolean[]> {
    if (this.#found !== undefined) return this.#found.holds(expectations);
    for (const candidate of this.#candidates) {
      const results = await candidate.holds(expectations);
      if (expectations.some(({ served }, place) => served && results[place] === true)) {
        this.#found = candidate;
        return results;
      }
    }
    return expectations.map(() => false);
  }

  async counts(): Promise<{ servers: number; endpoints: number }> {
    return (await this.#found?.counts()) ?? { servers: 0, endpoints: 0 };
  }

  async close(): Promise<void> {
    for (const candidate of this.#candidates) await candidate.close();
  }
}
