import type { Resource } from "../../services/cluster-event.ts";

/** The statistics of a reflector, for metrics and health. Times are of `Clock.now`, 0 before the first. */
export interface ReflectorStats {
  readonly resource: Resource;
  /** `listing` all objects, `watching` changes, or `waiting` before the next attempt. */
  readonly state: "listing" | "watching" | "waiting";
  /** The version up to which all changes are known; "" before the first list. */
  readonly resourceVersion: string;
  readonly objects: number;
  /** Whether a list was completed. */
  readonly listed: boolean;
  /** The number of complete lists, the first included. */
  readonly lists: number;
  /** The number of ended attempts by reason: "ended", "lost", "410" and others. */
  readonly endings: ReadonlyMap<string, number>;
  /** The cause of the last failure; "" before the first failure and after a successful response. */
  readonly trouble: string;
  /** The same cause with its cure, without any text of a server, a plugin or a file. */
  readonly cause: string;
  readonly events: number;
  /** The number of received bytes of bodies. */
  readonly bytes: number;
  /** The number of object versions with an invalid field. */
  readonly decodeErrors: number;
  readonly bookmarks: number;
  /** The number of events dropped because an event with a newer version of the object was sent before. */
  readonly outdatedEvents: number;
  readonly lastEventAtMs: number;
  readonly lastBookmarkAtMs: number;
  /** The time of the last headers or bytes from the server. */
  readonly lastContactAtMs: number;
  /** The time of the last list, event, bookmark or probe that showed that all changes are known. */
  readonly lastProgressAtMs: number;
}

/**
 * The first lists that have not arrived with their last failure, for example "services, nodes (403); endpointslices"; ""
 * if all have arrived. `trouble` is for logs and terminals, `cause` for clients of the health port.
 */
export function missingLists(stats: readonly ReflectorStats[], detail: "trouble" | "cause"): string {
  const missing = stats.filter(({ listed }) => !listed);
  const byTrouble = Map.groupBy(missing, (stat) => stat[detail]);
  return [...byTrouble]
    .map(([trouble, all]) => {
      const names = all.map(({ resource }) => resource).join(", ");
      return trouble === "" ? names : `${names} (${trouble})`;
    })
    .join("; ");
}
