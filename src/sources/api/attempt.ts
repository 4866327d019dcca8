import type { SourceDependencies } from "../source.ts";
import type { KnownState } from "./known-state.ts";
import type { OutageLog } from "./outage/outage-log.ts";
import {
  listQuery,
  nextPageQuery,
  probeQuery,
  type Query,
  watchListQuery,
  watchQuery,
  watchSeconds,
} from "./queries.ts";
import { type Ending, isBehind, type WatchPlan } from "./recovery.ts";
import { foreignForm, lost, readStatus } from "./refusal.ts";
import type { WatchedResource } from "./resources.ts";
import { readPage, readVersion } from "./stream/list-stream.ts";
import { isOlderVersion, type WatchEvent } from "./stream/watch-event.ts";
import { readWatch } from "./stream/watch-stream.ts";
import { type ApiResponse, CredentialsError, type Transport } from "./transport/transport.ts";
import { Watchdog } from "./watchdog.ts";

/** The time limit for the response to a consistent read. Without etcd it takes minutes; a cached read is immediate. */
const CONSISTENT_ANSWER_MS = 5_000;
/** The time limit for the response to other requests. */
const ANSWER_MS = 15_000;
/** The time limit for a pause within a list. A proxy may hold back the bookmark that ends the list. */
const LIST_SILENCE_MS = 30_000;
/** The time after its timeout at which a watch counts as broken. A working server ends a watch at its timeout. */
const OVERDUE_MS = 30_000;

export interface AttemptDependencies<Name extends string, Value> extends Omit<SourceDependencies, "logger"> {
  readonly transport: Transport;
  /** Shared by the reflectors of a source. */
  readonly outages: OutageLog;
  readonly resource: WatchedResource<Name, Value>;
  readonly known: KnownState<Name, Value>;
}

/**
 * Carries out one plan of a reflector, once: sends its requests, passes on what they return to the known state, and
 * returns how the plan ended. After the end of a streamed list, the attempt continues as a watch.
 */
export class Attempt<Name extends string, Value> {
  readonly #dependencies: AttemptDependencies<Name, Value>;
  readonly #known: KnownState<Name, Value>;
  readonly #fieldSelector: string;
  #plan: WatchPlan;
  #answered = false;

  constructor(plan: WatchPlan, fieldSelector: string, dependencies: AttemptDependencies<Name, Value>) {
    this.#plan = plan;
    this.#fieldSelector = fieldSelector;
    this.#dependencies = dependencies;
    this.#known = dependencies.known;
  }

  /** The plan; a watch after the end of its list. */
  get plan(): WatchPlan {
    return this.#plan;
  }

  /** Whether a list is not complete. */
  get isListing(): boolean {
    return this.#plan.kind === "watch-list" || this.#plan.kind === "list";
  }

  /** Whether the server has responded successfully. */
  get answered(): boolean {
    return this.#answered;
  }

  /** Runs until the plan ends, or until the signal is aborted; then the ending means nothing. */
  async run(signal: AbortSignal): Promise<Ending> {
    const plan = this.#plan;
    const consistent = plan.kind === "watch-list" && plan.from === "latest" && this.#known.newest === "";
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
      plan.kind === "watch"
        ? watchQuery(this.#known.version, seconds)
        : watchListQuery(plan.from, this.#known.newest, seconds);
    const response = await this.#get(query, watchdog);
    if ("kind" in response) return response;
    if (plan.kind === "watch-list") this.#known.beginList();
    const opened = this.#known.standing;
    this.#known.history.noteStream(opened);
    const allow = () => {
      if (this.isListing)
        return watchdog.allowUntil(this.#known.lastContactAtMs + LIST_SILENCE_MS, { kind: "stalled" });
      watchdog.allowUntil(opened.nowMs + seconds * 1000 + OVERDUE_MS, { kind: "overdue" });
      void this.#dependencies.outages.watched(this.#dependencies.resource.resource, watchdog.signal);
    };
    allow();
    const end = await readWatch(response.body, watchdog.signal, {
      onEvent: (event) => {
        const ending = this.#handle(event);
        if (event.kind === "bookmark") allow();
        return ending;
      },
      onProgress: (bytes) => {
        this.#known.noteBytes(bytes);
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
        return { kind: isEarly || this.#known.standing.messages > opened.messages ? "ended" : "silent" };
      }
    }
  }

  /** Handles an event of a stream. Returns an ending if the event ends the stream. */
  #handle(event: WatchEvent): Ending | undefined {
    switch (event.kind) {
      case "upsert":
        this.#known.upsert(event.object, this.isListing);
        return undefined;
      case "delete":
        this.#known.delete(event.object, this.isListing);
        return undefined;
      case "bookmark":
        return this.#noteBookmark(event.resourceVersion, event.endOfList);
      case "error":
        return { kind: "refused", status: event.status, inStream: true };
      case "malformed":
        return event;
    }
  }

  #noteBookmark(version: string, endOfList: boolean): Ending | undefined {
    this.#known.noteBookmark();
    const { isListing } = this;
    if (isListing && !endOfList) return undefined;
    if (this.#known.isAhead(version, isListing)) return { kind: "behind", version };
    if (!isListing) this.#known.advance(version);
    else {
      this.#completeList(version);
      this.#known.history.noteStream(this.#known.standing);
    }
    return undefined;
  }

  async #list(watchdog: Watchdog<Ending>): Promise<Ending> {
    let query = listQuery(this.#known.newest);
    const stalled: Ending = { kind: "stalled" };
    const allow = () => watchdog.allowUntil(this.#known.lastContactAtMs + LIST_SILENCE_MS, stalled);
    // The newest version before the list. The objects of the list are not newer than the list.
    const newestBefore = this.#known.newest;
    let begun = false;
    for (;;) {
      const response = await this.#get(query, watchdog);
      if ("kind" in response) return response;
      if (!begun) this.#known.beginList();
      begun = true;
      allow();
      const page = await readPage(response.body, watchdog.signal, {
        accepts: (version) => !isOlderVersion(version, newestBefore),
        onObject: (object) => {
          this.#known.addListed(object);
        },
        onProgress: (bytes) => {
          this.#known.noteBytes(bytes);
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
    const response = await this.#get(probeQuery(this.#known.version), watchdog);
    if ("kind" in response) return response;
    const end = await readVersion(response.body, watchdog.signal);
    if (end.kind === "cut") return watchdog.expired ?? lost(end.error);
    if (end.kind === "malformed") return end;
    if (isOlderVersion(end.version, this.#known.version))
      return this.#leaveIfBehind({ ...end, kind: "behind" }, response);
    this.#known.noteProgress();
    return { kind: "current" };
  }

  /** Sends the request. Returns the response if it has status 200 and is JSON, otherwise the ending. */
  async #get(query: Query, watchdog: Watchdog<Ending>): Promise<ApiResponse | Ending> {
    const parameters = new URLSearchParams(query);
    if (this.#dependencies.resource.labelSelector !== "")
      parameters.set("labelSelector", this.#dependencies.resource.labelSelector);
    if (this.#fieldSelector !== "") parameters.set("fieldSelector", this.#fieldSelector);
    let response: ApiResponse;
    try {
      response = await this.#dependencies.transport.get(
        `${this.#dependencies.resource.path}?${parameters}`,
        watchdog.signal,
      );
    } catch (error) {
      return error instanceof CredentialsError ? lost(error) : (watchdog.expired ?? lost(error));
    }
    this.#known.noteContact();
    if (response.status !== 200) {
      const status = await readStatus(response, watchdog.signal);
      return this.#leaveIfBehind({ kind: "refused", status, inStream: false }, response);
    }
    const form = foreignForm(response);
    if (form !== "") {
      response.leaveServer("the server is not an API server");
      return { kind: "malformed", reason: `the response is ${form}, not JSON` };
    }
    this.#answered = true;
    return response;
  }

  /** Returns the ending. If it shows that the server is behind, the transport leaves the server. */
  #leaveIfBehind(ending: Ending, response: ApiResponse): Ending {
    if (isBehind(ending)) response.leaveServer("the server is behind the known state");
    return ending;
  }

  #completeList(version: string): void {
    this.#known.completeList(version);
    this.#plan = { kind: "watch" };
  }
}
