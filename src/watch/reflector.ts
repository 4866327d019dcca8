import type { Logger } from "../log.ts";
import type { Clock } from "../model/clock.ts";
import { type ApiStatus, statusOfAnswer } from "./api-status.ts";
import { Backoff, RECONNECT } from "./backoff.ts";
import { bodyText } from "./body-text.ts";
import { clipped } from "./clipped.ts";
import { type EventSink, Inventory } from "./inventory.ts";
import { LineSplitter } from "./line-splitter.ts";
import { MAX_OBJECT_BYTES, readPage } from "./list-stream.ts";
import { pump } from "./pump.ts";
import { listQuery, nextPageQuery, probeQuery, type Query, watchQuery } from "./queries.ts";
import { reasonOf } from "./reason.ts";
import {
  type Ending,
  endingCause,
  endingReason,
  endingText,
  type ListSource,
  nextStep,
  type Plan,
  type Step,
} from "./recovery.ts";
import type { ReflectorStats } from "./reflector-stats.ts";
import type { WatchedResource } from "./resources.ts";
import { type ApiResponse, CredentialsError, type Transport, TransportError } from "./transport.ts";
import { parseWatchEvent, type WatchEvent } from "./watch-event.ts";
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
/** A watch is asked for a random time in this range, so that they do not all end together. */
const WATCH_SECONDS = { least: 300, most: 600 };

export interface ReflectorParts {
  readonly transport: Transport;
  readonly sink: EventSink;
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
}

/**
 * Keeps one resource of the API server told, for ever. It carries out one plan at a time: list the state, or watch what
 * changes; how the attempt ended says what the next plan is (`recovery.ts`).
 *
 * The version moves only after what it stands for has been told, so an attempt that breaks off is taken up where it
 * ended, and nothing is missed. Within a list no version counts before its end, and nothing is deleted before it.
 */
export class Reflector<Name extends string, Value> {
  readonly #resource: WatchedResource<Name, Value>;
  readonly #parts: ReflectorParts;
  readonly #inventory: Inventory<Name, Value>;
  readonly #backoff: Backoff;
  readonly #endings = new Map<string, number>();
  #plan: Plan = { kind: "watch-list", from: "latest" };
  #version = "";
  #malformedAt: string | undefined;
  #fieldSelector: string;
  #waiting = false;
  #lists = 0;
  #trouble = "";
  #cause = "";
  #bytes = 0;
  #events = 0;
  #bookmarks = 0;
  #lastEventAtMs = 0;
  #lastBookmarkAtMs = 0;
  #lastContactAtMs = 0;

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
      lists: this.#lists,
      endings: this.#endings,
      trouble: this.#trouble,
      cause: this.#cause,
      events: this.#events,
      bytes: this.#bytes,
      decodeErrors: this.#inventory.decodeErrors,
      bookmarks: this.#bookmarks,
      outdatedEvents: this.#inventory.outdated,
      lastEventAtMs: this.#lastEventAtMs,
      lastBookmarkAtMs: this.#lastBookmarkAtMs,
      lastContactAtMs: this.#lastContactAtMs,
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
    const consistent = (plan.kind === "watch-list" || plan.kind === "list") && plan.from === "latest";
    const noAnswer: Ending = { kind: "no-answer" };
    const dog = new Watchdog(this.#parts.clock, signal, consistent ? CONSISTENT_ANSWER_MS : ANSWER_MS, noAnswer);
    try {
      switch (plan.kind) {
        case "watch":
        case "watch-list":
          return await this.#watch(plan, dog);
        case "list":
          return await this.#list(plan.from, dog);
        case "probe":
          return await this.#probe(dog);
      }
    } finally {
      dog.stop();
    }
  }

  async #watch(plan: Plan & { kind: "watch" | "watch-list" }, dog: Watchdog<Ending>): Promise<Ending> {
    const seconds = WATCH_SECONDS.least + Math.floor(this.#parts.random() * (WATCH_SECONDS.most - WATCH_SECONDS.least));
    const response = await this.#get(watchQuery(plan, this.#version, seconds), dog);
    if ("kind" in response) return response;
    if (plan.kind === "watch-list") this.#inventory.beginList();
    const stream = { openedAtMs: this.#parts.clock.now(), events: this.#events, bookmarks: this.#bookmarks };
    const lifetimeMs = seconds * 1000;
    const allow = () => {
      if (this.#isListing()) dog.allowUntil(this.#lastContactAtMs + LIST_SILENCE_MS, { kind: "stalled" });
      else dog.allowUntil(stream.openedAtMs + lifetimeMs + OVERDUE_MS, { kind: "overdue" });
    };
    allow();
    const lines = new LineSplitter();
    const pumped = await pump(response.body, dog.signal, (chunk) => {
      this.#touch(chunk.length);
      for (const line of lines.push(chunk)) {
        if (dog.signal.aborted) return lost(dog.signal.reason);
        const ending = this.#tell(parseWatchEvent(line));
        if (ending !== undefined) return ending;
      }
      if (lines.pendingBytes > MAX_OBJECT_BYTES) return malformed("a line without end");
      allow();
      return undefined;
    });
    if (pumped.kind === "stopped") return pumped.result;
    if (pumped.kind === "failed") return dog.expired ?? lost(pumped.error);
    if (lines.pendingBytes > 0) return { kind: "lost", reason: "the stream ends within a line" };
    const livedMs = this.#parts.clock.now() - stream.openedAtMs;
    const events = this.#events - stream.events;
    const told = events + this.#bookmarks - stream.bookmarks > 0;
    // The server ends it up to its timer's granularity early.
    return told || livedMs < lifetimeMs - 1000 ? { kind: "ended", livedMs, events } : { kind: "silent" };
  }

  /** What ends the stream, if the event does. */
  #tell(event: WatchEvent): Ending | undefined {
    switch (event.kind) {
      case "upsert":
      case "delete":
        this.#inventory[event.kind](event.object);
        this.#events++;
        this.#lastEventAtMs = this.#lastContactAtMs;
        if (!this.#isListing()) this.#version = event.object.resourceVersion;
        return undefined;
      case "bookmark":
        this.#bookmarks++;
        this.#lastBookmarkAtMs = this.#lastContactAtMs;
        if (!this.#isListing()) this.#version = event.resourceVersion;
        else if (event.endOfList) this.#completeList(event.resourceVersion);
        return undefined;
      case "error":
        return { kind: "refused", status: event.status, inStream: true };
      case "malformed":
        return malformed(event.reason);
    }
  }

  async #list(from: ListSource, dog: Watchdog<Ending>): Promise<Ending> {
    let query = listQuery(from, this.#version);
    let begun = false;
    for (;;) {
      const response = await this.#get(query, dog);
      if ("kind" in response) return response;
      if (!begun) this.#inventory.beginList();
      begun = true;
      const stalled: Ending = { kind: "stalled" };
      dog.allowUntil(this.#lastContactAtMs + LIST_SILENCE_MS, stalled);
      const page = await readPage(
        response.body,
        dog.signal,
        (object) => this.#inventory.upsert(object),
        (bytes) => {
          this.#touch(bytes);
          dog.allowUntil(this.#lastContactAtMs + LIST_SILENCE_MS, stalled);
        },
      );
      if (page.kind === "cut") return dog.expired ?? lost(page.error);
      if (page.kind === "malformed") return page;
      if (page.next === "") {
        this.#completeList(page.resourceVersion);
        return { kind: "listed" };
      }
      query = nextPageQuery(page.next);
    }
  }

  async #probe(dog: Watchdog<Ending>): Promise<Ending> {
    const response = await this.#get(probeQuery(this.#version), dog);
    return "kind" in response ? response : { kind: "current" };
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
    this.#lastContactAtMs = this.#parts.clock.now();
    if (response.status === 200) {
      this.#trouble = "";
      this.#cause = "";
      return response;
    }
    return { kind: "refused", status: await readStatus(response, dog.signal), inStream: false };
  }

  #completeList(version: string): void {
    this.#inventory.completeList();
    this.#version = version;
    this.#plan = { kind: "watch" };
    this.#lists++;
  }

  #decide(ending: Ending): Step {
    const reason = endingReason(ending);
    this.#endings.set(reason, (this.#endings.get(reason) ?? 0) + 1);
    this.#trouble = endingText(ending);
    this.#cause = endingCause(ending);
    const malformedBefore = this.#malformedAt === this.#version;
    this.#malformedAt = ending.kind === "malformed" ? this.#version : undefined;
    const step =
      this.#withoutFieldSelector(ending) ??
      this.#withoutResource(ending) ??
      nextStep(this.#plan, ending, malformedBefore);
    const fields = { resource: this.#resource.resource, ending, plan: step.plan, wait: step.wait };
    if (step.wait === "backoff") this.#parts.logger.warn(fields, "watch interrupted");
    else this.#parts.logger.debug(fields, "watch goes on");
    return step;
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
    return { plan: { kind: "watch-list", from: "latest" }, wait: "none", atLeastMs: ABSENT_MS };
  }

  async #wait(step: Step, signal: AbortSignal): Promise<void> {
    const ms = Math.max(this.#waitMs(step), step.atLeastMs);
    if (ms === 0) return;
    this.#waiting = true;
    await this.#parts.clock.sleep(ms, signal);
    this.#waiting = false;
  }

  #waitMs(step: Step): number {
    switch (step.wait) {
      case "none":
        return 0;
      case "jitter":
        return this.#parts.random() * 100;
      case "spread":
        return 800 * (1 + this.#parts.random());
      case "backoff":
        return this.#backoff.next(this.#parts.clock.now());
    }
  }

  #isListing(): boolean {
    return this.#plan.kind === "watch-list" || this.#plan.kind === "list";
  }

  /** So much of a list or of a watch has come. */
  #touch(bytes: number): void {
    this.#lastContactAtMs = this.#parts.clock.now();
    this.#bytes += bytes;
  }
}

/** Reads a refusal; a body that does not come is no reason to know less than its code. */
async function readStatus(response: ApiResponse, signal: AbortSignal): Promise<ApiStatus> {
  return statusOfAnswer(response.status, response.retryAfterMs, await bodyText(response, MAX_STATUS_BYTES, signal));
}

const MAX_STATUS_BYTES = 65_536;

function lost(error: unknown): Ending {
  if (error instanceof TransportError && error.kind === "moved") return { kind: "moved" };
  const reason = clipped(reasonOf(error));
  return { kind: error instanceof CredentialsError ? "no-credentials" : "lost", reason };
}

function malformed(reason: string): Ending {
  return { kind: "malformed", reason };
}
