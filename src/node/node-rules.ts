import type { NodeSetup, RulesReport } from "../kernel/kernel.ts";
import type { IPFamily } from "../model/address.ts";
import type { Clock } from "../model/clock.ts";

/** So long Services wait for the rules that masquerade them. Usually rules take a tenth of a second. */
const PATIENCE_MS = 3_000;

export interface NodeRulesParts {
  readonly writeRules: (setup: NodeSetup) => Promise<RulesReport>;
  readonly clock: Pick<Clock, "sleep">;
  /** What is known of the rules has changed. */
  readonly onReport: (report: RulesReport) => void;
}

/**
 * Has the static rules written, one attempt at a time. An attempt may take minutes, where somebody holds the lock of iptables or a
 * program of it hangs; Services then go on without waiting for it, and its report comes when it ends.
 *
 * *idle* - `write` -> *writing* - the attempt ends -> *idle*, or *writing* again if `write` was called with another setup meanwhile.
 */
export class NodeRules {
  readonly #parts: NodeRulesParts;
  #wanted: NodeSetup | undefined;
  /** Resolves when the attempts that run have ended; undefined while idle. */
  #ended: Promise<void> | undefined;

  constructor(parts: NodeRulesParts) {
    this.#parts = parts;
  }

  /** Resolves when the rules were written or could not be, or when others have waited long enough. Never rejects. */
  async write(setup: NodeSetup): Promise<void> {
    this.#wanted = setup;
    this.#ended ??= this.#begin();
    const waited = new AbortController();
    await Promise.race([this.#ended, this.#parts.clock.sleep(PATIENCE_MS, waited.signal)]);
    waited.abort();
    if (this.#ended !== undefined) this.#parts.onReport(unfinished(setup));
  }

  #begin(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      this.#ended = undefined;
      resolve();
    };
    // A bug in here ends the process, as an unhandled rejection: a restart looks and carries on.
    void this.#attempt().then(end);
    return promise;
  }

  async #attempt(): Promise<void> {
    for (let setup = this.#wanted; setup !== undefined; setup = this.#wanted) {
      const report = await this.#parts.writeRules(setup);
      // While another setup is wanted, this report says nothing of it.
      if (setup !== this.#wanted) continue;
      this.#wanted = undefined;
      this.#parts.onReport(report);
    }
  }
}

/** Of an attempt that has not ended: nobody knows which of the rules are right. */
function unfinished({ rules }: NodeSetup): RulesReport {
  const families = Object.keys(rules) as readonly IPFamily[];
  const message = (family: IPFamily) =>
    `Cannot write the iptables rules of ${family} in time: a program of iptables has not ended, or waits for the lock`;
  return { changed: [], failures: families.map((family) => ({ family, message: message(family) })) };
}
