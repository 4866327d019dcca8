import type { ListSource } from "./recovery.ts";

/** The parameters of a request, without the selectors. */
export type Query = Readonly<Record<string, string>>;

/** The page size. A server ignores it for lists from its watch cache. It limits the work of a server without one. */
const PAGE_ITEMS = "500";

/** The range of the random duration of a watch. Random, so that the watches of a cluster do not end at the same time. */
const WATCH_SECONDS = { least: 300, most: 600 };

/** The duration of a watch in seconds. `random` is evenly distributed in [0, 1). */
export function watchSeconds(random: () => number): number {
  return WATCH_SECONDS.least + Math.floor(random() * (WATCH_SECONDS.most - WATCH_SECONDS.least));
}

/** The query of a watch from `version`. */
export function watchQuery(version: string, seconds: number): Query {
  return { ...WATCH, timeoutSeconds: String(seconds), resourceVersion: version };
}

/** The query of a stream that begins with all objects and continues as a watch. `newest` is the newest known version. */
export function watchListQuery(from: ListSource, newest: string, seconds: number): Query {
  const resourceVersion = from === "latest" && newest === "" ? "" : notOlderThan(newest);
  const initial = { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" };
  return { ...WATCH, ...initial, timeoutSeconds: String(seconds), resourceVersion };
}

/** The query of the first page of a list. `newest` is the newest known version. */
export function listQuery(newest: string): Query {
  return { limit: PAGE_ITEMS, resourceVersion: notOlderThan(newest), resourceVersionMatch: "NotOlderThan" };
}

/** The query of the next page. The token contains the version. */
export function nextPageQuery(token: string): Query {
  return { limit: PAGE_ITEMS, continue: token };
}

/** The query of a probe. A server that has not reached `version` responds with 504. */
export function probeQuery(version: string): Query {
  return { limit: "1", resourceVersion: version, resourceVersionMatch: "NotOlderThan" };
}

const WATCH = { watch: "true", allowWatchBookmarks: "true" };

/** The smallest version that a list may have if `newest` is the newest known version. "0" allows every version. */
function notOlderThan(newest: string): string {
  return newest === "" ? "0" : newest;
}
