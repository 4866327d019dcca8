import { Backoff } from "../../model/time/backoff.ts";
import type { SourceDependencies } from "../source.ts";
import { Attempt } from "./attempt.ts";
import { KnownState } from "./known-state.ts";
import { endingCause, endingCure } from "./outage/outage-cause.ts";
import type { OutageLog } from "./outage/outage-log.ts";
import {
  type Ending,
  endingReason,
  endingText,
  FIRST_PLAN,
  nextStep,
  RECONNECT,
  type Step,
  type WatchPlan,
  waitMs,
} from "./recovery.ts";
import type { ReflectorStats } from "./reflector-stats.ts";
import type { WatchedResource } from "./resources.ts";
import type { Transport } from "./transport/transport.ts";
import type { EventHandler } from "./watch-cache.ts";

/** The time between two requests for a resource that the server does not have. An upgrade may add it. */
const ABSENT_MS = 600_000;

export interface ReflectorDependencies extends SourceDependencies {
  readonly transport: Transport;
  readonly handler: EventHandler;
  /** Shared by the reflectors of a source. */
  readonly outages: OutageLog;
}

/**
 * Passes on the state and the changes of one resource of the API server as events. It attempts one plan at a time
 * (`attempt.ts`): list the state, or watch the changes. The ending of a plan determines the next plan (`recovery.ts`).
 *
 * The version never moves back: a state older than the known one is not accepted from any server. If a server is behind,
 * the transport uses another one. If all servers that respond have been behind for two minutes, the cluster was restored
 * from an older state, and that state is accepted.
 */
export class Reflector<Name extends string, Value> {
  readonly #resource: WatchedResource<Name, Value>;
  readonly #dependencies: ReflectorDependencies;
  readonly #known: KnownState<Name, Value>;
  readonly #backoff: Backoff;
  readonly #endings = new Map<string, number>();
  #attempt: Attempt<Name, Value>;
  #fieldSelector: string;
  #waiting = false;
  #trouble = "";
  #cause = "";

  constructor(resource: WatchedResource<Name, Value>, dependencies: ReflectorDependencies) {
    this.#resource = resource;
    this.#dependencies = dependencies;
    this.#known = new KnownState(resource, dependencies.handler, dependencies.clock);
    this.#backoff = new Backoff(RECONNECT, dependencies.random);
    this.#fieldSelector = resource.fieldSelector;
    this.#attempt = this.#attemptAt(FIRST_PLAN);
  }

  get stats(): ReflectorStats {
    const { isListing, answered } = this.#attempt;
    return {
      ...this.#known.stats,
      state: this.#waiting ? "waiting" : isListing ? "listing" : "watching",
      endings: this.#endings,
      trouble: answered ? "" : this.#trouble,
      cause: answered ? "" : this.#cause,
    };
  }

  /** Runs until the signal is aborted. No event is sent after the abort. Rejects with the exception of the handler. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const ending = await this.#attempt.run(signal);
      if (signal.aborted) return;
      const step = this.#decide(ending);
      this.#attempt = this.#attemptAt(step.plan);
      await this.#wait(step, signal);
    }
  }

  /** Returns the attempt at the plan. */
  #attemptAt(plan: WatchPlan): Attempt<Name, Value> {
    const { transport, outages, clock, random } = this.#dependencies;
    const dependencies = { transport, outages, clock, random, resource: this.#resource, known: this.#known };
    return new Attempt(plan, this.#fieldSelector, dependencies);
  }

  #decide(ending: Ending): Step {
    const reason = endingReason(ending);
    this.#endings.set(reason, (this.#endings.get(reason) ?? 0) + 1);
    this.#trouble = endingText(ending);
    this.#cause = endingCause(ending);
    const step = this.#withoutFieldSelector(ending) ?? this.#withoutResource(ending) ?? this.#next(ending);
    const { resource } = this.#resource;
    this.#dependencies.logger.debug({ resource, ending, plan: step.plan, wait: step.wait }, "request ended");
    if (step.wait === "backoff") {
      const unreachable = ending.kind === "lost" || ending.kind === "no-answer";
      const { lastProgressAtMs: stateAtMs } = this.#known;
      const failure = { cause: this.#trouble, cure: endingCure(ending), unreachable, stateAtMs };
      this.#dependencies.outages.failed(resource, failure);
    }
    return step;
  }

  #next(ending: Ending): Step {
    const { plan } = this.#attempt;
    const { history, standing } = this.#known;
    const facts = history.noteEnd(plan, ending, standing);
    if (history.isRestored(ending, standing.nowMs)) return this.#acceptRestoredState(ending);
    return nextStep(plan, ending, facts);
  }

  /** Starts again from the state of the servers after a restore. The known objects stay until a list is complete. */
  #acceptRestoredState(ending: Ending): Step {
    const fields = { resource: this.#resource.resource, knownVersion: this.#known.newest, cause: endingText(ending) };
    this.#dependencies.logger.warn(
      fields,
      "API servers have been behind the known state for 2 minutes, as after a restore of etcd; accepting their older state",
    );
    this.#known.forgetVersions();
    return { plan: FIRST_PLAN, wait: "none", atLeastMs: 0 };
  }

  /** A server that responds 400 to a list does not know the field. Without the selector, the decoder drops the objects. */
  #withoutFieldSelector(ending: Ending): Step | undefined {
    const { plan } = this.#attempt;
    if (ending.kind !== "refused" || ending.status.code !== 400 || plan.kind !== "list") return undefined;
    if (this.#fieldSelector === "" || !this.#resource.fieldSelectorOptional) return undefined;
    this.#fieldSelector = "";
    return { plan, wait: "none", atLeastMs: 0 };
  }

  /** The server does not have the resource. Known objects stay, because during an upgrade other servers may have it. */
  #withoutResource(ending: Ending): Step | undefined {
    if (ending.kind !== "refused" || ending.status.code !== 404 || !this.#resource.optional) return undefined;
    this.#known.markListed();
    this.#dependencies.outages.ended(this.#resource.resource);
    return { plan: FIRST_PLAN, wait: "none", atLeastMs: ABSENT_MS };
  }

  async #wait(step: Step, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#dependencies;
    const ms = waitMs(step, this.#backoff, random, clock.now());
    if (ms === 0) return;
    this.#waiting = true;
    await clock.sleep(ms, signal);
    this.#waiting = false;
  }
}
