import type { Notice } from "../model/cluster/notice.ts";
import { TokenBucket } from "../model/token-bucket.ts";

export interface EventLimits {
  /** Writes that may follow each other after a rest, */
  readonly burst: number;
  /** and the time between two after that. */
  readonly refillMs: number;
  /** Different notices that are remembered at a time: of nodes so many, and as many of other objects. */
  readonly notices: number;
  /** Different notices about one object for one reason that wait at a time. */
  readonly waiting: number;
  /** Between two writes for one notice that repeats. */
  readonly seriesMs: number;
  /** A notice that was not repeated for so long is a new one when it comes again. */
  readonly forgetMs: number;
  /** What every node has to tell about the same object is told up to so much later. */
  readonly spreadMs: number;
  /** Attempts to write one notice that may fail on the way in a row. */
  readonly attempts: number;
}

/**
 * A node in trouble writes twice a minute at most, so five thousand of them 170 times a second. The API server keeps an
 * Event for an hour by default: a series is written often enough to stay.
 */
export const EVENT_LIMITS: EventLimits = {
  burst: 10,
  refillMs: 30_000,
  notices: 200,
  waiting: 11,
  seriesMs: 600_000,
  forgetMs: 1_800_000,
  spreadMs: 10_000,
  attempts: 10,
};

/** One request to be made. */
export interface EventWrite {
  /** Of a new Event, or of the series of one that was created. */
  readonly kind: "create" | "repeat";
  readonly notice: Notice;
  /** When it was first noticed; stays the same for all writes of one Event. */
  readonly first: Date;
  readonly last: Date;
  /** How often it was noticed. */
  readonly count: number;
}

/**
 * How a write ended.
 * - `done`: the server has it.
 * - `known`: there is such an Event already, another node's or one of our life before.
 * - `gone`: the Event of the series has expired.
 * - `refused`: the server will never take it.
 * - `lost`: nobody knows; to be tried again.
 */
export type WriteOutcome = "done" | "known" | "gone" | "refused" | "lost";

/** Since the start. Every notice that is not one of a series ends in one of these, unless it still waits. */
export interface EventCounts {
  /** Requests that the server took. */
  readonly sent: number;
  /** Notices that were there already. */
  readonly known: number;
  /** Notices for which there was no room. */
  readonly dropped: number;
  /** Notices that were refused, or lost on every attempt. */
  readonly failed: number;
}

interface Entry {
  readonly notice: Notice;
  /** `unsaid`: no Event yet. `said`: an Event of ours. `settled`: not ours to go on with; repetitions are nothing new. */
  state: "unsaid" | "said" | "settled";
  first: Date;
  last: Date;
  lastMs: number;
  count: number;
  /** Of which the server knows. */
  saidCount: number;
  /** When its next write may be made. */
  dueMs: number;
  attempts: number;
}

/**
 * What is to be told and when: notices that repeat become one Event with a series, writes are limited in rate, and what
 * waits is limited in number, for each object and for all. What is about the node itself has room of its own and goes first: there
 * may be 10,000 wrong Services, and the kernel that does not answer must be known all the same. Time is handed in and never goes backwards; dates, which may, are only shown. `random` is
 * evenly distributed in [0, 1).
 */
export class EventBook {
  readonly #limits: EventLimits;
  readonly #random: () => number;
  readonly #bucket: TokenBucket;
  /** By the notice as text; the one noticed last is the last. */
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

  /** Takes in a notice; drops it when there are too many others that wait, of its object or of all. */
  add(notice: Notice, nowMs: number, date: Date): void {
    const key = keyOf(notice);
    this.#forget(nowMs);
    const known = this.#entries.get(key);
    if (known === undefined && !this.#hasRoom(notice)) {
      this.#tally("dropped");
      return;
    }
    const entry = known ?? this.#entry(notice, nowMs, date);
    entry.count++;
    entry.last = date;
    entry.lastMs = nowMs;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /** The write to make now, which is to be settled before the next is asked for; or when to ask again, Infinity for never. */
  next(nowMs: number): EventWrite | number {
    const waiting = [...this.#entries.values()].filter(hasNews);
    if (waiting.length === 0) return Number.POSITIVE_INFINITY;
    const own = waiting.filter(({ notice, dueMs }) => isOfNode(notice) && dueMs <= nowMs);
    const entry = (own.length > 0 ? own : waiting).reduce((first, other) =>
      other.dueMs < first.dueMs ? other : first,
    );
    const atMs = Math.max(entry.dueMs, this.#bucket.readyAtMs(nowMs));
    if (atMs > nowMs) return atMs;
    this.#bucket.take(nowMs);
    const { notice, first, last, count } = entry;
    return { kind: entry.state === "unsaid" ? "create" : "repeat", notice, first, last, count };
  }

  /** Takes in how a write ended. */
  settle(write: EventWrite, outcome: WriteOutcome, nowMs: number): void {
    const entry = this.#entries.get(keyOf(write.notice));
    if (entry === undefined) throw new Error(`A write was settled that nobody asked for: ${keyOf(write.notice)}`);
    switch (outcome) {
      case "done":
        this.#tally("sent");
        this.#markSaid(entry, write.count, nowMs);
        break;
      case "gone":
        entry.state = "unsaid";
        entry.first = write.last;
        entry.count -= entry.saidCount;
        entry.saidCount = 0;
        break;
      case "known":
        this.#tally("known");
        entry.state = "settled";
        // Nobody else tells of this node, and what was lost may have arrived: then it is ours to go on with.
        if (entry.attempts > 0 || write.notice.regarding.kind === "Node") this.#markSaid(entry, 1, nowMs);
        break;
      case "refused":
        this.#tally("failed");
        entry.state = "settled";
        break;
      case "lost":
        entry.attempts++;
        if (entry.attempts < this.#limits.attempts) break;
        this.#tally("failed");
        this.#entries.delete(keyOf(write.notice));
    }
  }

  #entry(notice: Notice, nowMs: number, date: Date): Entry {
    const spreadMs = notice.regarding.kind === "Node" ? 0 : this.#random() * this.#limits.spreadMs;
    const times = { first: date, last: date, lastMs: nowMs, dueMs: nowMs + spreadMs };
    return { notice, state: "unsaid", ...times, count: 0, saidCount: 0, attempts: 0 };
  }

  #markSaid(entry: Entry, count: number, nowMs: number): void {
    entry.state = "said";
    entry.saidCount = count;
    entry.dueMs = nowMs + this.#limits.seriesMs;
    entry.attempts = 0;
  }

  #forget(nowMs: number): void {
    for (const [key, entry] of this.#entries) {
      if (nowMs - entry.lastMs < this.#limits.forgetMs) return;
      if (!hasNews(entry)) this.#entries.delete(key);
    }
  }

  /** Whether there is room for a new notice, if need be by forgetting what waits for nothing and was noticed longest ago. */
  #hasRoom(notice: Notice): boolean {
    const entries = [...this.#entries];
    const alike = entries.filter(([, entry]) => hasNews(entry) && isAlike(entry.notice, notice));
    if (alike.length >= this.#limits.waiting) return false;
    const peers = entries.filter(([, entry]) => isOfNode(entry.notice) === isOfNode(notice));
    if (peers.length < this.#limits.notices) return true;
    const [idle] = peers.find(([, entry]) => !hasNews(entry)) ?? [];
    return idle !== undefined && this.#entries.delete(idle);
  }

  #tally(what: keyof EventCounts): void {
    this.#counts = { ...this.#counts, [what]: this.#counts[what] + 1 };
  }
}

function isOfNode({ regarding }: Notice): boolean {
  return regarding.kind === "Node";
}

function isAlike(a: Notice, b: Notice): boolean {
  const [one, other] = [a.regarding, b.regarding];
  const isSame = one.kind === other.kind && one.namespace === other.namespace && one.name === other.name;
  return isSame && a.reason === b.reason;
}

function hasNews({ state, count, saidCount }: Entry): boolean {
  switch (state) {
    case "unsaid":
      return true;
    case "said":
      return count > saidCount;
    case "settled":
      return false;
  }
}

function keyOf({ type, reason, action, regarding, note }: Notice): string {
  return JSON.stringify([type, reason, action, regarding.kind, regarding.namespace, regarding.name, note]);
}
