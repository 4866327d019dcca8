import type { EventRecord } from "../model/cluster/event-record.ts";
import { TokenBucket } from "../model/time/token-bucket.ts";

export interface EventLimits {
  /** The number of writes without a pause after an idle time. */
  readonly burst: number;
  /** The time between two writes after the burst. */
  readonly refillMs: number;
  /** The number of different events kept for nodes, and also the number kept for other objects. */
  readonly events: number;
  /** The number of different events with the same object and reason that may wait at the same time. */
  readonly waiting: number;
  /** The time between two writes of an event that repeats. */
  readonly seriesMs: number;
  /** An event that does not repeat within this time is forgotten. The next occurrence starts a new Event. */
  readonly forgetMs: number;
  /** The largest random delay of the first write. All nodes see the same problem of an object at the same time. */
  readonly spreadMs: number;
  /** The number of lost writes in a row after which an event is given up. */
  readonly attempts: number;
}

/**
 * The limits in production. A node writes at most twice a minute, which is 170 writes per second in a cluster of 5,000
 * nodes. The API server keeps an Event for one hour by default, and a series is written often enough to stay.
 */
export const EVENT_LIMITS: EventLimits = {
  burst: 10,
  refillMs: 30_000,
  events: 200,
  waiting: 11,
  seriesMs: 600_000,
  forgetMs: 1_800_000,
  spreadMs: 10_000,
  attempts: 10,
};

/** One request to the API server. */
export interface EventWrite {
  /** `create` writes a new Event, `repeat` updates the series of an Event that this process created. */
  readonly kind: "create" | "repeat";
  readonly record: EventRecord;
  /** The time of the first occurrence; the same in all writes of one Event. */
  readonly first: Date;
  readonly last: Date;
  /** The number of occurrences. */
  readonly count: number;
}

/**
 * The result of a write.
 * - `done`: the server stored it.
 * - `known`: the Event exists already; another node or an earlier process of this node created it.
 * - `gone`: the Event of the series has expired.
 * - `refused`: the server does not accept it, and a retry cannot help.
 * - `lost`: the result is unknown, and the write is retried.
 */
export type WriteOutcome = "done" | "known" | "gone" | "refused" | "lost";

/** Totals since the start. Each event that does not repeat an earlier one is counted once, when it stops waiting. */
export interface EventCounts {
  /** Requests that the server accepted. */
  readonly sent: number;
  /** Events whose Event existed already. */
  readonly known: number;
  /** Events for which there was no room. */
  readonly dropped: number;
  /** Events that the server refused, or that were lost on every attempt. */
  readonly failed: number;
}

interface Entry {
  readonly event: EventRecord;
  /**
   * `new`: no Event is written yet. `written`: this process wrote the Event and continues its series. `closed`: this
   * process writes nothing more, and repetitions are ignored.
   */
  state: "new" | "written" | "closed";
  first: Date;
  last: Date;
  lastMs: number;
  count: number;
  /** The part of `count` that the server has stored. */
  writtenCount: number;
  /** The earliest time of the next write. */
  dueMs: number;
  attempts: number;
}

/**
 * Decides which Events to write and when. Events that repeat become one Event with a series. The rate of writes is
 * limited, and the number of waiting events is limited for each object and in total. Events about the node itself have
 * their own limit and come first, because a failing kernel must be reported even if 10,000 Services are invalid.
 *
 * `nowMs` is monotonic; dates may step back and are only shown. `random` is evenly distributed in [0, 1).
 */
export class EventCorrelator {
  readonly #limits: EventLimits;
  readonly #random: () => number;
  readonly #bucket: TokenBucket;
  /** Entries by the text of their event, in the order of the last occurrence. */
  readonly #entries = new Map<string, Entry>();
  #counts: EventCounts = { sent: 0, known: 0, dropped: 0, failed: 0 };

  constructor(limits: EventLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
    this.#bucket = new TokenBucket(limits.burst, limits.refillMs);
  }

  get counts(): EventCounts {
    return this.#counts;
  }

  /** Adds an event. Drops it if too many events of its object, or too many in total, are waiting. */
  add(event: EventRecord, nowMs: number, date: Date): void {
    const key = keyOf(event);
    this.#forget(nowMs);
    const known = this.#entries.get(key);
    if (known === undefined && !this.#hasRoom(event)) {
      this.#countUp("dropped");
      return;
    }
    const entry = known ?? this.#entry(event, nowMs, date);
    entry.count++;
    entry.last = date;
    entry.lastMs = nowMs;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /**
   * Returns the write to make now, or the time of the next call: Infinity until an event is added. The caller settles a
   * write before the next call.
   */
  next(nowMs: number): EventWrite | number {
    const waiting = [...this.#entries.values()].filter(isPending);
    if (waiting.length === 0) return Number.POSITIVE_INFINITY;
    const own = waiting.filter(({ event, dueMs }) => isOfNode(event) && dueMs <= nowMs);
    const entry = (own.length > 0 ? own : waiting).reduce((first, other) =>
      other.dueMs < first.dueMs ? other : first,
    );
    const atMs = Math.max(entry.dueMs, this.#bucket.readyAtMs(nowMs));
    if (atMs > nowMs) return atMs;
    this.#bucket.take(nowMs);
    const { event, first, last, count } = entry;
    return { kind: entry.state === "new" ? "create" : "repeat", record: event, first, last, count };
  }

  /** Records the result of a write. Throws when there is no event for the write. */
  settle(write: EventWrite, outcome: WriteOutcome, nowMs: number): void {
    const entry = this.#entries.get(keyOf(write.record));
    if (entry === undefined) throw new Error(`Cannot settle a write without an event: ${keyOf(write.record)}`);
    switch (outcome) {
      case "done":
        this.#countUp("sent");
        this.#markWritten(entry, write.count, nowMs);
        break;
      case "gone":
        entry.state = "new";
        entry.first = write.last;
        entry.count -= entry.writtenCount;
        entry.writtenCount = 0;
        break;
      case "known":
        this.#countUp("known");
        entry.state = "closed";
        // Only this agent writes Events about its node, and a lost write may have reached the server. In both cases the
        // Event is its own, and it continues the series.
        if (entry.attempts > 0 || write.record.regarding.kind === "Node") this.#markWritten(entry, 1, nowMs);
        break;
      case "refused":
        this.#countUp("failed");
        entry.state = "closed";
        break;
      case "lost":
        entry.attempts++;
        if (entry.attempts < this.#limits.attempts) break;
        this.#countUp("failed");
        this.#entries.delete(keyOf(write.record));
    }
  }

  #entry(event: EventRecord, nowMs: number, date: Date): Entry {
    const spreadMs = event.regarding.kind === "Node" ? 0 : this.#random() * this.#limits.spreadMs;
    const times = { first: date, last: date, lastMs: nowMs, dueMs: nowMs + spreadMs };
    return { event, state: "new", ...times, count: 0, writtenCount: 0, attempts: 0 };
  }

  #markWritten(entry: Entry, count: number, nowMs: number): void {
    entry.state = "written";
    entry.writtenCount = count;
    entry.dueMs = nowMs + this.#limits.seriesMs;
    entry.attempts = 0;
  }

  #forget(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (nowMs - entry.lastMs < this.#limits.forgetMs) return;
      if (!isPending(entry)) this.#entries.delete(key);
    }
  }

  /** Makes room for a new event if possible: forgets the oldest entry of the same kind that has nothing to write. */
  #hasRoom(event: EventRecord): boolean {
    const entries = [...this.#entries];
    const alike = entries.filter(([, entry]) => isPending(entry) && isAlike(entry.event, event));
    if (alike.length >= this.#limits.waiting) return false;
    const peers = entries.filter(([, entry]) => isOfNode(entry.event) === isOfNode(event));
    if (peers.length < this.#limits.events) return true;
    const [idle] = peers.find(([, entry]) => !isPending(entry)) ?? [];
    return idle !== undefined && this.#entries.delete(idle);
  }

  #countUp(field: keyof EventCounts): void {
    this.#counts = { ...this.#counts, [field]: this.#counts[field] + 1 };
  }
}

function isOfNode({ regarding }: EventRecord): boolean {
  return regarding.kind === "Node";
}

function isAlike(a: EventRecord, b: EventRecord): boolean {
  const [one, other] = [a.regarding, b.regarding];
  const isSame = one.kind === other.kind && one.namespace === other.namespace && one.name === other.name;
  return isSame && a.reason === b.reason;
}

/** Whether the entry has something to write, now or later. */
function isPending({ state, count, writtenCount }: Entry): boolean {
  switch (state) {
    case "new":
      return true;
    case "written":
      return count > writtenCount;
    case "closed":
      return false;
  }
}

function keyOf({ type, reason, action, regarding, note }: EventRecord): string {
  return JSON.stringify([type, reason, action, regarding.kind, regarding.namespace, regarding.name, note]);
}
