import type { ListSource } from "./recovery.ts";

/** The parameters of a request, without the selectors. */
export type Query = Readonly<Record<string, string>>;

/** Ignored where the list comes from the watch cache; bounds the work of a server that has none. */
const PAGE_ITEMS = "500";

/** A watch ends after a random time in this range, so that they do not all end together. */
const WATCH_SECONDS = { least: 300, most: 600 };

/** How long a watch is to last; `random` is evenly distributed in [0, 1). */
export function watchSeconds(random: () => number): number {
  return WATCH_SECONDS.least + Math.floor(random() * (WATCH_SECONDS.most - WATCH_SECONDS.least));
}

/** A watch from `version`. */
export function watchQuery(version: string, seconds: number): Query {
  return { ...WATCH, timeoutSeconds: String(seconds), resourceVersion: version };
}

/** A stream of the whole state that goes on as a watch. */
export function watchListQuery(from: ListSource, told: string, seconds: number): Query {
  const resourceVersion = from === "latest" && told === "" ? "" : notOlderThan(told);
  const initial = { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" };
  return { ...WATCH, ...initial, timeoutSeconds: String(seconds), resourceVersion };
}

/** The first page of a list. */
export function listQuery(told: string): Query {
  return { limit: PAGE_ITEMS, resourceVersion: notOlderThan(told), resourceVersionMatch: "NotOlderThan" };
}

/** The page behind a token, which holds the version too. */
export function nextPageQuery(token: string): Query {
  return { limit: PAGE_ITEMS, continue: token };
}

/** Answered with 504 by a server that has not come as far as `version`. */
export function probeQuery(version: string): Query {
  return { limit: "1", resourceVersion: version, resourceVersionMatch: "NotOlderThan" };
}

const WATCH = { watch: "true", allowWatchBookmarks: "true" };

/** The version that a state must have reached when objects up to version `told` were told: "0" is any that the server has. */
function notOlderThan(told: string): string {
  return told === "" ? "0" : told;
}
