import type { NodeSetup, RulesReport } from "../kernel/kernel.ts";
import type { IPFamily } from "../model/address.ts";
import type { Clock } from "../model/time/clock.ts";

/** The time for which Services wait for the rules that masquerade their traffic. Rules usually take 0.1 s. */
const PATIENCE_MS = 3_000;

export interface NodeRulesDependencies {
  readonly writeRules: (setup: NodeSetup) => Promise<RulesReport>;
  readonly clock: Pick<Clock, "sleep">;
  /** Called when the state of the rules has changed: with the setup whose attempt has ended, if one has. */
  readonly onReport: (report: RulesReport, ended?: NodeSetup) => void;
}

/**
 * Writes the static rules, one attempt at a time. An attempt may take minutes if another process holds the xtables lock
 * or an iptables program hangs. Services then continue without waiting, and the report follows when the attempt ends.
 *
 * *idle* - `write` -> *writing* - the attempt ends -> *idle*, or *writing* again if `write` was called with another
 * setup meanwhile.
 */
export class NodeRules {
  readonly #dependencies: NodeRulesDependencies;
  #wanted: NodeSetup | undefined;
  /** Resolves when all running attempts have ended; undefined if idle. */
  #ended: Promise<void> | undefined;

  constructor(dependencies: NodeRulesDependencies) {
    this.#dependencies = dependencies;
  }

  /** Resolves when the rules were written, when writing failed, or after 3 s. Never rejects. */
  async write(setup: NodeSetup): Promise<void> {
    if (!isEqual(setup, this.#wanted)) this.#wanted = setup;
    this.#ended ??= this.#begin();
    const waited = new AbortController();
    await Promise.race([this.#ended, this.#dependencies.clock.sleep(PATIENCE_MS, waited.signal)]);
    waited.abort();
    if (this.#ended !== undefined) this.#dependencies.onReport(unfinished(setup));
  }

  #begin(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      this.#ended = undefined;
      resolve();
    };
    // An exception here is a bug. It ends the process as an unhandled rejection, and the restarted process does a
    // resync.
    void this.#attempt().then(end);
    return promise;
  }

  async #attempt(): Promise<void> {
    for (let setup = this.#wanted; setup !== undefined; setup = this.#wanted) {
      const report = await this.#dependencies.writeRules(setup);
      // The report is obsolete if another setup was requested meanwhile.
      if (setup !== this.#wanted) continue;
      this.#wanted = undefined;
      this.#dependencies.onReport(report, setup);
    }
  }
}

/** Whether the running attempt writes this setup. If it were repeated for each request, a slow node would never see it end. */
function isEqual(setup: NodeSetup, wanted: NodeSetup | undefined): boolean {
  return JSON.stringify(setup) === JSON.stringify(wanted);
}

/** Returns the report of an unfinished attempt: the state of the rules is unknown. */
function unfinished({ rules }: NodeSetup): RulesReport {
  const families = Object.keys(rules) as readonly IPFamily[];
  const message = (family: IPFamily) =>
    `Cannot write the iptables rules of ${family} within ${PATIENCE_MS / 1000} s: an iptables program is still running or waits for the xtables lock`;
  const tables = families.flatMap((family) =>
    (rules[family]?.tables ?? []).map(({ name }) => ({ family, table: name, isDesired: false })),
  );
  return { changed: [], failures: families.map((family) => ({ family, message: message(family) })), tables };
}
