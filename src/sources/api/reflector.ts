import type { SourceDependencies } from "../source.ts";

import type { OutageLog } from "./outage-log.ts";
import {
  listQuery,
  nextPageQuery,
  probeQuery,
  type Query,
  watchListQuery,
  watchQuery,
  watchSeconds,
} from "./queries.ts";
import {
  type Ending,
  endingCause,
  endingReason,
  endingText,
  FIRST_PLAN,
  isBehind,
  nextStep,
  type Step,
  type WatchPlan,
} from "./recovery.ts";
import type { ReflectorStats } from "./reflector-stats.ts";
import { foreignForm, lost, readStatus } from "./refusal.ts";
import type { WatchedResource } from "./resources.ts";
import { readPage, readVersion } from "./stream/list-stream.ts";
import { isOlderVersion, laterVersion, type WatchEvent } from "./stream/watch-event.ts";
import { readWatch } from "./stream/watch-stream.ts";
import { Backoff, RECONNECT } from "./transport/backoff.ts";
import { type ApiResponse, CredentialsError, type Transport } from "./transport/transport.ts";
import { type EventHandler, WatchCache } from "./watch-cache.ts";
import { type Standing, WatchHistory } from "./watch-history.ts";
import { Watchdog } from "./watchdog.ts";

/** The time limit for the response to a consistent read. Without etcd it takes minutes; a cached read is immediate. */
const CONSISTENT_ANSWER_MS = 5_000;
/** The time limit for the response to other requests. */
const ANSWER_MS = 15_000;
/** The time limit for a pause within a list. A proxy may hold back the bookmark that ends the list. */
const LIST_SILENCE_MS = 30_000;
/** The time after its timeout at which a watch counts as broken. A working server ends a watch at its timeout. */
const OVERDUE_MS = 30_000;
/** The time between two requests for a resource that the server does not have. An upgrade may add it. */
const ABSENT_MS = 600_000;

export interface ReflectorDependencies extends SourceDependencies {
  readonly transport: Transport;
  readonly handler: EventHandler;
  /** Shared by the reflectors of a source. */
  readonly outages: OutageLog;
}

/**
 * Passes on the state and the changes of one resource of the API server as events. It executes one plan at a time: list
 * the state, or watch the changes. The ending of a plan determines the next plan (`recovery.ts`).
 *
 * The version advances only after the events up to that version were passed on, so that an interrupted attempt continues
 * without a gap. Within a list, the version does not advance and nothing is deleted before the end of the list.
 *
 * The version never moves back: a state older than the known one is not accepted from any server. If a server is behind,
 * the transport uses another one. If all servers that respond have been behind for two minutes, the cluster was restored
 * from an older state, and that state is accepted.
 */
export class Reflector<Name extends string, Value> {
  readonly #resource: WatchedResource<Name, Value>;
  readonly #dependencies: ReflectorDependencies;
  readonly #cache: WatchCache<Name, Value>;
  readonly #backoff: Backoff;
  readonly #endings = new Map<string, number>();
  readonly #history = new WatchHistory();
  #plan: WatchPlan = FIRST_PLAN;
  /** The version up to which all changes are known; "" before the first list. */
  #version = "";
  /** The newest version of any known object, also from an interrupted list; at least `#version`. */
  #newest = "";
  #fieldSelector: string;
  #waiting = false;
  #trouble = "";
  #cause = "";
  readonly #counts = { lists: 0, events: 0, bookmarks: 0, bytes: 0 };
  readonly #times = { lastEventAtMs: 0, lastBookmarkAtMs: 0, lastContactAtMs: 0, lastProgressAtMs: 0 };

  constructor(resource: WatchedResource<Name, Value>, dependencies: ReflectorDependencies) {
    this.#resource = resource;
    this.#dependencies = dependencies;
    this.#cache = new WatchCache(resource, dependencies.handler);
    this.#backoff = new Backoff(RECONNECT, dependencies.random);
    this.#fieldSelector = resource.fieldSelector;
  }

  get stats(): ReflectorStats {
    return {
      resource: this.#resource.resource,
      state: this.#waiting ? "waiting" : this.#isListing() ? "listing" : "watching",
      resourceVersion: this.#version,
      objects: this.#cache.size,
      listed: this.#cache.listed,
      endings: this.#endings,
      trouble: this.#trouble,
      cause: this.#cause,
      decodeErrors: this.#cache.decodeErrors,
      outdatedEvents: this.#cache.outdated,
      ...this.#counts,
      ...this.#times,
    };
  }

  /** Runs until the signal is aborted. No event is sent after the abort. Rejects with the exception of the handler. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const ending = await this.#attempt(signal);
      if (signal.aborted) return;
      const step = this.#decide(ending);
      this.#plan = step.plan;
      await this.#wait(step, signal);
    }
  }

  async #attempt(signal: AbortSignal): Promise<Ending> {
    const plan = this.#plan;
    const consistent = plan.kind === "watch-list" && plan.from === "latest" && this.#newest === "";
    const noAnswer: Ending = { kind: "no-answer" };
    const limitMs = consistent ? CONSISTENT_ANSWER_MS : ANSWER_MS;
    const watchdog = new Watchdog(this.#dependencies.clock, signal, limitMs, noAnswer);
    try {
      switch (plan.kind) {
        case "watch":
        case "watch-list":
          return await this.#watch(plan, watchdog);
        case "list":
          return await this.#list(watchdog);
        case "probe":
          return await this.#probe(watchdog);
      }
    } finally {
      watchdog.stop();
    }
  }

  async #watch(plan: WatchPlan & { kind: "watch" | "watch-list" }, watchdog: Watchdog<Ending>): Promise<Ending> {
    const seconds = watchSeconds(this.#dependencies.random);
    const query =
      plan.kind === "watch" ? watchQuery(this.#version, seconds) : watchListQuery(plan.from, this.#newest, seconds);
    const response = await this.#get(query, watchdog);
    if ("kind" in response) return response;
    if (plan.kind === "watch-list") this.#cache.beginList();
    const opened = this.#standing;
    this.#history.noteStream(opened);
    const allow = () => {
      if (this.#isListing())
        return watchdog.allowUntil(this.#times.lastContactAtMs + LIST_SILENCE_MS, { kind: "stalled" });
      watchdog.allowUntil(opened.nowMs + seconds * 1000 + OVERDUE_MS, { kind: "overdue" });
      void this.#dependencies.outages.watched(this.#resource.resource, watchdog.signal);
    };
    allow();
    const end = await readWatch(response.body, watchdog.signal, {
      onEvent: (event) => {
        const ending = this.#handle(event);
        if (event.kind === "bookmark") allow();
        return ending;
      },
      onProgress: (bytes) => {
        this.#touch(bytes);
        allow();
      },
    });
    switch (end.kind) {
      case "stopped":
        return this.#leaveIfBehind(end.result, response);
      case "cut":
        return watchdog.expired ?? lost(end.error);
      case "malformed":
        return end;
      case "ended": {
        // A server may end a watch early by the granularity of its timer.
        const isEarly = this.#dependencies.clock.now() - opened.nowMs < seconds * 1000 - 1000;
        return { kind: isEarly || this.#standing.messages > opened.messages ? "ended" : "silent" };
      }
    }
  }

  /** Handles an event of a stream. Returns an ending if the event ends the stream. */
  #handle(event: WatchEvent): Ending | undefined {
    switch (event.kind) {
      case "upsert":
        this.#cache.upsert(event.object, this.#isListing() ? "" : this.#version);
        this.#noteEvent(event.object.resourceVersion);
        return undefined;
      case "delete":
        this.#cache.delete(event.object);
        this.#noteEvent(event.object.resourceVersion);
        return undefined;
      case "bookmark":
        return this.#noteBookmark(event.resourceVersion, event.endOfList);
      case "error":
        return { kind: "refused", status: event.status, inStream: true };
      case "malformed":
        return event;
    }
  }

  #noteEvent(version: string): void {
    this.#counts.events++;
    this.#times.lastEventAtMs = this.#times.lastContactAtMs;
    this.#newest = laterVersion(this.#newest, version);
    if (!this.#isListing()) this.#advance(version);
  }

  #noteBookmark(version: string, endOfList: boolean): Ending | undefined {
    this.#counts.bookmarks++;
    this.#times.lastBookmarkAtMs = this.#times.lastContactAtMs;
    const isListing = this.#isListing();
    if (isListing && !endOfList) return undefined;
    if (isOlderVersion(version, isListing ? this.#newest : this.#version)) return { kind: "behind", version };
    if (!isListing) this.#advance(version);
    else {
      this.#completeList(version);
      this.#history.noteStream(this.#standing);
    }
    return undefined;
  }

  async #list(watchdog: Watchdog<Ending>): Promise<Ending> {
    let query = listQuery(this.#newest);
    const stalled: Ending = { kind: "stalled" };
    const allow = () => watchdog.allowUntil(this.#times.lastContactAtMs + LIST_SILENCE_MS, stalled);
    // The newest version before the list. The objects of the list are not newer than the list.
    const newestBefore = this.#newest;
    let begun = false;
    for (;;) {
      const response = await this.#get(query, watchdog);
      if ("kind" in response) return response;
      if (!begun) this.#cache.beginList();
      begun = true;
      allow();
      const page = await readPage(response.body, watchdog.signal, {
        accepts: (version) => !isOlderVersion(version, newestBefore),
        onObject: (object) => {
          this.#cache.upsert(object);
          this.#newest = laterVersion(this.#newest, object.resourceVersion);
        },
        onProgress: (bytes) => {
          this.#touch(bytes);
          allow();
        },
      });
      if (page.kind === "cut") return watchdog.expired ?? lost(page.error);
      if (page.kind !== "page") return this.#leaveIfBehind(page, response);
      if (page.next === "") {
        this.#completeList(page.resourceVersion);
        return { kind: "listed" };
      }
      query = nextPageQuery(page.next);
    }
  }

  async #probe(watchdog: Watchdog<Ending>): Promise<Ending> {
    const response = await this.#get(probeQuery(this.#version), watchdog);
    if ("kind" in response) return response;
    const end = await readVersion(response.body, watchdog.signal);
    if (end.kind === "cut") return watchdog.expired ?? lost(end.error);
    if (end.kind === "malformed") return end;
    if (isOlderVersion(end.version, this.#version)) return this.#leaveIfBehind({ ...end, kind: "behind" }, response);
    this.#noteProgress();
    return { kind: "current" };
  }

  /** Sends the request. Returns the response if it has status 200 and is JSON, otherwise the ending. */
  async #get(query: Query, watchdog: Watchdog<Ending>): Promise<ApiResponse | Ending> {
    const parameters = new URLSearchParams(query);
    if (this.#resource.labelSelector !== "") parameters.set("labelSelector", this.#resource.labelSelector);
    if (this.#fieldSelector !== "") parameters.set("fieldSelector", this.#fieldSelector);
    let response: ApiResponse;
    try {
      response = await this.#dependencies.transport.get(`${this.#resource.path}?${parameters}`, watchdog.signal);
    } catch (error) {
      return error instanceof CredentialsError ? lost(error) : (watchdog.expired ?? lost(error));
    }
    this.#times.lastContactAtMs = this.#dependencies.clock.now();
    if (response.status !== 200) {
      const status = await readStatus(response, watchdog.signal);
      return this.#leaveIfBehind({ kind: "refused", status, inStream: false }, response);
    }
    const form = foreignForm(response);
    if (form !== "") {
      response.leaveServer("the server is not an API server");
      return { kind: "malformed", reason: `the response is ${form}, not JSON` };
    }
    this.#trouble = "";
    this.#cause = "";
    return response;
  }

  /** Returns the ending. If it shows that the server is behind, the transport leaves the server. */
  #leaveIfBehind(ending: Ending, response: ApiResponse): Ending {
    if (isBehind(ending)) response.leaveServer("the server is behind the known state");
    return ending;
  }

  #completeList(version: string): void {
    this.#cache.completeList();
    this.#version = version;
    this.#newest = laterVersion(this.#newest, version);
    this.#plan = { kind: "watch" };
    this.#counts.lists++;
    this.#history.noteList();
    this.#noteProgress();
  }

  #advance(version: string): void {
    this.#version = laterVersion(this.#version, version);
    this.#noteProgress();
  }

  #noteProgress(): void {
    this.#history.noteProgress();
    this.#times.lastProgressAtMs = this.#times.lastContactAtMs;
  }

  get #standing(): Standing {
    const { events, bookmarks } = this.#counts;
    return { nowMs: this.#dependencies.clock.now(), version: this.#version, messages: events + bookmarks };
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
      const failure = { cause: this.#trouble, unreachable, stateAtMs: this.#times.lastProgressAtMs };
      this.#dependencies.outages.failed(resource, failure);
    }
    return step;
  }

  #next(ending: Ending): Step {
    const standing = this.#standing;
    const history = this.#history.noteEnd(this.#plan, ending, standing);
    if (this.#history.isRestored(ending, standing.nowMs)) return this.#acceptRestoredState(ending);
    return nextStep(this.#plan, ending, history);
  }

  /** Starts again from the state of the servers after a restore. The known objects stay until a list is complete. */
  #acceptRestoredState(ending: Ending): Step {
    const fields = { resource: this.#resource.resource, knownVersion: this.#newest, cause: endingText(ending) };
    this.#dependencies.logger.warn(
      fields,
      "API servers have been behind the known state for 2 minutes, as after a restore of etcd; accepting their older state",
    );
    this.#cache.forgetVersions();
    this.#version = "";
    this.#newest = "";
    return { plan: FIRST_PLAN, wait: "none", atLeastMs: 0 };
  }

  /** A server that responds 400 to a list does not know the field. Without the selector, the decoder drops the objects. */
  #withoutFieldSelector(ending: Ending): Step | undefined {
    if (ending.kind !== "refused" || ending.status.code !== 400 || this.#plan.kind !== "list") return undefined;
    if (this.#fieldSelector === "" || !this.#resource.fieldSelectorOptional) return undefined;
    this.#fieldSelector = "";
    return { plan: this.#plan, wait: "none", atLeastMs: 0 };
  }

  /** The server does not have the resource. Known objects stay, because during an upgrade other servers may have it. */
  #withoutResource(ending: Ending): Step | undefined {
    if (ending.kind !== "refused" || ending.status.code !== 404 || !this.#resource.optional) return undefined;
    this.#cache.markListed();
    this.#dependencies.outages.ended(this.#resource.resource);
    return { plan: FIRST_PLAN, wait: "none", atLeastMs: ABSENT_MS };
  }

  async #wait(step: Step, signal: AbortSignal): Promise<void> {
    const ms = Math.max(this.#backoff.waitMs(step.wait, this.#dependencies.clock.now()), step.atLeastMs);
    if (ms === 0) return;
    this.#waiting = true;
    await this.#dependencies.clock.sleep(ms, signal);
    this.#waiting = false;
  }

  #isListing(): boolean {
    return this.#plan.kind === "watch-list" || this.#plan.kind === "list";
  }

  /** Records received bytes of a list or watch. */
  #touch(bytes: number): void {
    this.#times.lastContactAtMs = this.#dependencies.clock.now();
    this.#counts.bytes += bytes;
  }
}
