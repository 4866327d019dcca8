import type { Clock } from "../../model/clock.ts";
import type { Logger } from "../../model/logger.ts";
import { type EventSink, Inventory } from "./inventory.ts";
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
  type Plan,
  type Step,
} from "./recovery.ts";
import type { ReflectorStats } from "./reflector-stats.ts";
import { foreignForm, lost, readStatus } from "./refusal.ts";
import type { WatchedResource } from "./resources.ts";
import { readPage, readVersion } from "./stream/list-stream.ts";
import { isOlderVersion, laterVersion, type WatchEvent } from "./stream/watch-event.ts";
import { readWatch } from "./stream/watch-stream.ts";
import { Backoff, RECONNECT } from "./transport/backoff.ts";
import { type ApiResponse, CredentialsError, type Transport } from "./transport/transport.ts";
import { type Standing, WatchHistory } from "./watch-history.ts";
import { Watchdog } from "./watchdog.ts";

/** Without etcd a consistent read gets no answer for minutes, one from the watch cache at once. */
const CONSISTENT_ANSWER_MS = 5_000;
const ANSWER_MS = 15_000;
/** Within a list something always comes; a proxy may hold back the bookmark that ends it. */
const LIST_SILENCE_MS = 30_000;
/** The server ends a watch at its timeout; one that goes on so much longer is not heard any more. */
const OVERDUE_MS = 30_000;
/** How often a resource is asked for that the server does not have: an upgrade may bring it. */
const ABSENT_MS = 600_000;

export interface ReflectorParts {
  readonly transport: Transport;
  readonly sink: EventSink;
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Shared by the reflectors of a source. */
  readonly outages: OutageLog;
}

/**
 * Keeps one resource of the API server told, for ever. It carries out one plan at a time: list the state, or watch what
 * changes; how the attempt ended says what the next plan is (`recovery.ts`).
 *
 * The version moves only after what it stands for has been told, so an attempt that breaks off is taken up where it
 * ended, and nothing is missed. Within a list no version counts before its end, and nothing is deleted before it.
 *
 * Nor does it move back: whichever server answers, no state older than what was told is taken. A server that is behind is left
 * for another. Only when all that answer have been behind for two minutes their state is taken to be a restored one.
 */
export class Reflector<Name extends string, Value> {
  readonly #resource: WatchedResource<Name, Value>;
  readonly #parts: ReflectorParts;
  readonly #inventory: Inventory<Name, Value>;
  readonly #backoff: Backoff;
  readonly #endings = new Map<string, number>();
  readonly #history = new WatchHistory();
  #plan: Plan = FIRST_PLAN;
  /** Up to this version all was told; "" before the first list. */
  #version = "";
  /** The latest version of any object that was told, also within a list that broke off; at least `#version`. */
  #newest = "";
  #fieldSelector: string;
  #waiting = false;
  #trouble = "";
  #cause = "";
  readonly #counts = { lists: 0, events: 0, bookmarks: 0, bytes: 0 };
  readonly #times = { lastEventAtMs: 0, lastBookmarkAtMs: 0, lastContactAtMs: 0, lastProgressAtMs: 0 };

  constructor(resource: WatchedResource<Name, Value>, parts: ReflectorParts) {
    this.#resource = resource;
    this.#parts = parts;
    this.#inventory = new Inventory(resource, parts.sink);
    this.#backoff = new Backoff(RECONNECT, parts.random);
    this.#fieldSelector = resource.fieldSelector;
  }

  get stats(): ReflectorStats {
    return {
      resource: this.#resource.resource,
      state: this.#waiting ? "waiting" : this.#isListing() ? "listing" : "watching",
      resourceVersion: this.#version,
      objects: this.#inventory.size,
      listed: this.#inventory.listed,
      endings: this.#endings,
      trouble: this.#trouble,
      cause: this.#cause,
      decodeErrors: this.#inventory.decodeErrors,
      outdatedEvents: this.#inventory.outdated,
      ...this.#counts,
      ...this.#times,
    };
  }

  /** Runs until the signal is aborted, and tells nothing after that. Rejects with what the sink threw. */
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
    const dog = new Watchdog(this.#parts.clock, signal, consistent ? CONSISTENT_ANSWER_MS : ANSWER_MS, noAnswer);
    try {
      switch (plan.kind) {
        case "watch":
        case "watch-list":
          return await this.#watch(plan, dog);
        case "list":
          return await this.#list(dog);
        case "probe":
          return await this.#probe(dog);
      }
    } finally {
      dog.stop();
    }
  }

  async #watch(plan: Plan & { kind: "watch" | "watch-list" }, dog: Watchdog<Ending>): Promise<Ending> {
    const seconds = watchSeconds(this.#parts.random);
    const query =
      plan.kind === "watch" ? watchQuery(this.#version, seconds) : watchListQuery(plan.from, this.#newest, seconds);
    const response = await this.#get(query, dog);
    if ("kind" in response) return response;
    if (plan.kind === "watch-list") this.#inventory.beginList();
    const opened = this.#standing;
    this.#history.noteStream(opened);
    const allow = () => {
      if (this.#isListing()) return dog.allowUntil(this.#times.lastContactAtMs + LIST_SILENCE_MS, { kind: "stalled" });
      dog.allowUntil(opened.nowMs + seconds * 1000 + OVERDUE_MS, { kind: "overdue" });
      void this.#parts.outages.watched(this.#resource.resource, dog.signal);
    };
    allow();
    const end = await readWatch(response.body, dog.signal, {
      onEvent: (event) => {
        const ending = this.#tell(event);
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
        return this.#heed(end.result, response);
      case "cut":
        return dog.expired ?? lost(end.error);
      case "malformed":
        return end;
      case "ended": {
        // The server ends it up to its timer's granularity early.
        const isEarly = this.#parts.clock.now() - opened.nowMs < seconds * 1000 - 1000;
        return { kind: isEarly || this.#standing.told > opened.told ? "ended" : "silent" };
      }
    }
  }

  /** What ends the stream, if the event does. */
  #tell(event: WatchEvent): Ending | undefined {
    switch (event.kind) {
      case "upsert":
        this.#inventory.upsert(event.object, this.#isListing() ? "" : this.#version);
        this.#noteEvent(event.object.resourceVersion);
        return undefined;
      case "delete":
        this.#inventory.delete(event.object);
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

  async #list(dog: Watchdog<Ending>): Promise<Ending> {
    let query = listQuery(this.#newest);
    const stalled: Ending = { kind: "stalled" };
    const allow = () => dog.allowUntil(this.#times.lastContactAtMs + LIST_SILENCE_MS, stalled);
    // What was told before it began; its own objects are no newer than the list.
    const told = this.#newest;
    let begun = false;
    for (;;) {
      const response = await this.#get(query, dog);
      if ("kind" in response) return response;
      if (!begun) this.#inventory.beginList();
      begun = true;
      allow();
      const page = await readPage(response.body, dog.signal, {
        accepts: (version) => !isOlderVersion(version, told),
        onObject: (object) => {
          this.#inventory.upsert(object);
          this.#newest = laterVersion(this.#newest, object.resourceVersion);
        },
        onProgress: (bytes) => {
          this.#touch(bytes);
          allow();
        },
      });
      if (page.kind === "cut") return dog.expired ?? lost(page.error);
      if (page.kind !== "page") return this.#heed(page, response);
      if (page.next === "") {
        this.#completeList(page.resourceVersion);
        return { kind: "listed" };
      }
      query = nextPageQuery(page.next);
    }
  }

  async #probe(dog: Watchdog<Ending>): Promise<Ending> {
    const response = await this.#get(probeQuery(this.#version), dog);
    if ("kind" in response) return response;
    const end = await readVersion(response.body, dog.signal);
    if (end.kind === "cut") return dog.expired ?? lost(end.error);
    if (end.kind === "malformed") return end;
    if (isOlderVersion(end.version, this.#version)) return this.#heed({ ...end, kind: "behind" }, response);
    this.#noteProgress();
    return { kind: "current" };
  }

  /** The answer, when it is one to go on with. */
  async #get(query: Query, dog: Watchdog<Ending>): Promise<ApiResponse | Ending> {
    const parameters = new URLSearchParams(query);
    if (this.#resource.labelSelector !== "") parameters.set("labelSelector", this.#resource.labelSelector);
    if (this.#fieldSelector !== "") parameters.set("fieldSelector", this.#fieldSelector);
    let response: ApiResponse;
    try {
      response = await this.#parts.transport.get(`${this.#resource.path}?${parameters}`, dog.signal);
    } catch (error) {
      return error instanceof CredentialsError ? lost(error) : (dog.expired ?? lost(error));
    }
    this.#times.lastContactAtMs = this.#parts.clock.now();
    if (response.status !== 200) {
      const status = await readStatus(response, dog.signal);
      return this.#heed({ kind: "refused", status, inStream: false }, response);
    }
    const form = foreignForm(response);
    if (form !== "") {
      response.leaveServer("it is no API server");
      return { kind: "malformed", reason: `the answer is ${form}, not JSON` };
    }
    this.#trouble = "";
    this.#cause = "";
    return response;
  }

  /** The ending, whose server is left when it is behind. */
  #heed(ending: Ending, response: ApiResponse): Ending {
    if (isBehind(ending)) response.leaveServer("it is behind what was told");
    return ending;
  }

  #completeList(version: string): void {
    this.#inventory.completeList();
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
    return { nowMs: this.#parts.clock.now(), version: this.#version, told: events + bookmarks };
  }

  #decide(ending: Ending): Step {
    const reason = endingReason(ending);
    this.#endings.set(reason, (this.#endings.get(reason) ?? 0) + 1);
    this.#trouble = endingText(ending);
    this.#cause = endingCause(ending);
    const step = this.#withoutFieldSelector(ending) ?? this.#withoutResource(ending) ?? this.#next(ending);
    const { resource } = this.#resource;
    this.#parts.logger.debug({ resource, ending, plan: step.plan, wait: step.wait }, "request ended");
    if (step.wait === "backoff") {
      const unreachable = ending.kind === "lost" || ending.kind === "no-answer";
      const failure = { cause: this.#trouble, unreachable, stateAtMs: this.#times.lastProgressAtMs };
      this.#parts.outages.failed(resource, failure);
    }
    return step;
  }

  #next(ending: Ending): Step {
    const standing = this.#standing;
    const history = this.#history.noteEnd(this.#plan, ending, standing);
    if (this.#history.isRestored(ending, standing.nowMs)) return this.#beginAnew(ending);
    return nextStep(this.#plan, ending, history);
  }

  /** No server has what was told any more. What is there stays until a complete list of the state that they have. */
  #beginAnew(ending: Ending): Step {
    const fields = { resource: this.#resource.resource, told: this.#newest, cause: endingText(ending) };
    this.#parts.logger.warn(
      fields,
      "every API server that answers has been behind for 2 minutes, as after a restore of etcd: its older state is taken",
    );
    this.#inventory.forgetVersions();
    this.#version = "";
    this.#newest = "";
    return { plan: FIRST_PLAN, wait: "none", atLeastMs: 0 };
  }

  /** A server that answers 400 to a plain list does not know the field; then the objects are left out here. */
  #withoutFieldSelector(ending: Ending): Step | undefined {
    if (ending.kind !== "refused" || ending.status.code !== 400 || this.#plan.kind !== "list") return undefined;
    if (this.#fieldSelector === "" || !this.#resource.fieldSelectorOptional) return undefined;
    this.#fieldSelector = "";
    return { plan: this.#plan, wait: "none", atLeastMs: 0 };
  }

  /** What was told before stays: of several servers in an upgrade some may know the resource. */
  #withoutResource(ending: Ending): Step | undefined {
    if (ending.kind !== "refused" || ending.status.code !== 404 || !this.#resource.optional) return undefined;
    this.#inventory.tellListed();
    this.#parts.outages.ended(this.#resource.resource);
    return { plan: FIRST_PLAN, wait: "none", atLeastMs: ABSENT_MS };
  }

  async #wait(step: Step, signal: AbortSignal): Promise<void> {
    const ms = Math.max(this.#backoff.waitMs(step.wait, this.#parts.clock.now()), step.atLeastMs);
    if (ms === 0) return;
    this.#waiting = true;
    await this.#parts.clock.sleep(ms, signal);
    this.#waiting = false;
  }

  #isListing(): boolean {
    return this.#plan.kind === "watch-list" || this.#plan.kind === "list";
  }

  /** So much of a list or of a watch has come. */
  #touch(bytes: number): void {
    this.#times.lastContactAtMs = this.#parts.clock.now();
    this.#counts.bytes += bytes;
  }
}
