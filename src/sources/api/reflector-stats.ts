import type { Resource } from "../../services/cluster-event.ts";

/** What a reflector can tell of itself, for metrics, health and whoever looks at night. Times are of `Clock.now`. */
export interface ReflectorStats {
  readonly resource: Resource;
  /** `listing` the whole state, `watching` changes, or `waiting` before the next attempt. */
  readonly state: "listing" | "watching" | "waiting";
  /** The last version that was told completely; "" before the first list. */
  readonly resourceVersion: string;
  readonly objects: number;
  /** Whether all there is has once been told. */
  readonly listed: boolean;
  /** Complete lists, the first included. */
  readonly lists: number;
  /** Attempts that ended, by reason: "ended", "lost", "410", ... */
  readonly endings: ReadonlyMap<string, number>;
  /** Why the last attempt failed; "" before any has, and once one is answered. */
  readonly trouble: string;
  /** The same in one word, which shows nothing that a server, a plugin or a file said. */
  readonly cause: string;
  readonly events: number;
  /** Of bodies, as they came. */
  readonly bytes: number;
  /** Versions of objects of which something could not be used. */
  readonly decodeErrors: number;
  readonly bookmarks: number;
  /** Events dropped because a newer version of their object had been told. */
  readonly outdatedEvents: number;
  /** 0 before the first. */
  readonly lastEventAtMs: number;
  /** 0 before the first. */
  readonly lastBookmarkAtMs: number;
  /** When something last came from the server, an answer included; 0 before the first. */
  readonly lastContactAtMs: number;
  /** When something last showed that all is told: a list, an event, a bookmark or a probe; 0 before the first. */
  readonly lastProgressAtMs: number;
}

/**
 * Which first lists have not come yet and what last went wrong: "services, nodes (403); endpointslices". "" when all have
 * come. `trouble` is for logs and terminals, `cause` for whoever may connect.
 */
export function missingLists(stats: readonly ReflectorStats[], detail: "trouble" | "cause"): string {
  const missing = stats.filter(({ listed }) => !listed);
  const byTrouble = Map.groupBy(missing, (one) => one[detail]);
  return [...byTrouble]
    .map(([trouble, all]) => {
      const names = all.map(({ resource }) => resource).join(", ");
      return trouble === "" ? names : `${names} (${trouble})`;
    })
    .join("; ");
}
