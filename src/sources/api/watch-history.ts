import { type Ending, type History, isBehind, type Plan } from "./recovery.ts";

/** A watch that ends sooner and empty is a server in trouble, not one that is done. */
export const HEALTHY_MS = 1000;
/**
 * How long every server that answers may be behind what was told before their state is taken all the same. In a cluster as it
 * should be a server is behind for seconds. After a restore of etcd from a backup it is behind for good.
 */
const RESTORED_AFTER_MS = 120_000;

/** Where a reflector is at one time. */
export interface Standing {
  readonly nowMs: number;
  readonly version: string;
  /** Events and bookmarks, ever. */
  readonly told: number;
}

/** What a reflector remembers of the attempts before. */
export class WatchHistory {
  /** Where the reflector was when the stream of this attempt was opened, or the list within it ended. */
  #stream: Standing | undefined;
  #failedStreams = 0;
  #watched = false;
  #malformedAt: string | undefined;
  #behindSinceMs: number | undefined;

  /** A list is complete. */
  noteList(): void {
    this.#failedStreams = 0;
    this.#watched = false;
    this.noteProgress();
  }

  /** The server has come at least as far as we have. */
  noteProgress(): void {
    this.#behindSinceMs = undefined;
  }

  /** A stream begins to tell: a list, or what happens after it. */
  noteStream(standing: Standing): void {
    this.#stream = standing;
  }

  noteEnd(plan: Plan, ending: Ending, { nowMs, version, told }: Standing): History {
    const stream = this.#stream;
    this.#stream = undefined;
    const healthy = stream !== undefined && (told > stream.told || nowMs - stream.nowMs >= HEALTHY_MS);
    this.#watched ||= healthy && plan.kind === "watch";
    this.#countFailure(plan, ending, healthy, stream !== undefined);
    const malformedBefore = this.#malformedAt === version;
    this.#malformedAt = ending.kind === "malformed" ? version : undefined;
    return { healthy, malformedBefore, watched: this.#watched, failedStreams: this.#failedStreams };
  }

  /** Whether the servers have been behind for so long that their state must be a restored one. */
  isRestored(ending: Ending, nowMs: number): boolean {
    if (!isBehind(ending)) return false;
    this.#behindSinceMs ??= nowMs;
    if (nowMs - this.#behindSinceMs < RESTORED_AFTER_MS) return false;
    this.#behindSinceMs = undefined;
    return true;
  }

  #countFailure(plan: Plan, ending: Ending, healthy: boolean, opened: boolean): void {
    switch (plan.kind) {
      case "watch":
        if (healthy) this.#failedStreams = 0;
        else if (isFailure(ending)) this.#failedStreams++;
        return;
      case "watch-list":
        // A server that cannot be reached is no reason for another kind of list.
        if (isFailure(ending) && (opened || ending.kind !== "lost")) this.#failedStreams++;
        return;
      case "probe":
        if (isFailure(ending)) this.#failedStreams = 0;
        return;
      case "list":
    }
  }
}

/** Whether the way that was tried is at fault. A server with too much to do (429) is not to be given more. */
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
