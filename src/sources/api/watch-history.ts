import { type Ending, type History, isBehind, type WatchPlan } from "./recovery.ts";

/** The shortest time of a healthy watch without events. A watch that ends earlier shows a problem of the server. */
export const HEALTHY_MS = 1000;
/**
 * The time for which all servers that respond are behind before their state is accepted. In a healthy cluster a server is
 * behind for seconds. After a restore of etcd from a backup it stays behind.
 */
const RESTORED_AFTER_MS = 120_000;

/** The position of a reflector at one time. */
export interface Standing {
  readonly nowMs: number;
  readonly version: string;
  /** The number of all events and bookmarks since the start. */
  readonly messages: number;
}

/** Keeps the facts about earlier attempts that determine the next plan. */
export class WatchHistory {
  /** The position at which the stream of this attempt was opened, or at which the list within it ended. */
  #stream: Standing | undefined;
  #failedStreams = 0;
  #watched = false;
  #malformedAt: string | undefined;
  #behindSinceMs: number | undefined;

  /** Records a complete list. */
  noteList(): void {
    this.#failedStreams = 0;
    this.#watched = false;
    this.noteProgress();
  }

  /** Records that the server has reached the version of the reflector. */
  noteProgress(): void {
    this.#behindSinceMs = undefined;
  }

  /** Records the begin of a stream: of a list, or of the changes after it. */
  noteStream(standing: Standing): void {
    this.#stream = standing;
  }

  /** Records the ending of a plan and returns the facts for the next one. */
  noteEnd(plan: WatchPlan, ending: Ending, { nowMs, version, messages }: Standing): History {
    const stream = this.#stream;
    this.#stream = undefined;
    const healthy = stream !== undefined && (messages > stream.messages || nowMs - stream.nowMs >= HEALTHY_MS);
    this.#watched ||= healthy && plan.kind === "watch";
    this.#countFailure(plan, ending, healthy, stream !== undefined);
    const malformedBefore = this.#malformedAt === version;
    this.#malformedAt = ending.kind === "malformed" ? version : undefined;
    return { healthy, malformedBefore, watched: this.#watched, failedStreams: this.#failedStreams };
  }

  /** Whether the servers have been behind for so long that their state was restored. */
  isRestored(ending: Ending, nowMs: number): boolean {
    if (!isBehind(ending)) return false;
    this.#behindSinceMs ??= nowMs;
    if (nowMs - this.#behindSinceMs < RESTORED_AFTER_MS) return false;
    this.#behindSinceMs = undefined;
    return true;
  }

  #countFailure(plan: WatchPlan, ending: Ending, healthy: boolean, opened: boolean): void {
    switch (plan.kind) {
      case "watch":
        if (healthy) this.#failedStreams = 0;
        else if (isFailure(ending)) this.#failedStreams++;
        return;
      case "watch-list":
        // Another kind of list would not help with a server that cannot be reached.
        if (isFailure(ending) && (opened || ending.kind !== "lost")) this.#failedStreams++;
        return;
      case "probe":
        if (isFailure(ending)) this.#failedStreams = 0;
        return;
      case "list":
    }
  }
}

/** Whether another kind of request may help. It does not help after 429, and would add load to the server. */
function isFailure(ending: Ending): boolean {
  switch (ending.kind) {
    case "listed":
    case "current":
    case "silent":
    case "moved":
    case "no-credentials":
      return false;
    case "refused":
      return ending.status.code !== 429;
    case "ended":
    case "behind":
    case "no-answer":
    case "stalled":
    case "overdue":
    case "lost":
    case "malformed":
      return true;
  }
}
