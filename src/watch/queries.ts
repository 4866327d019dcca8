import type { ListSource, Plan } from "./recovery.ts";

/** The parameters of a request, without the selectors. */
export type Query = Readonly<Record<string, string>>;

/** Ignored where the list comes from the watch cache; bounds the work of a server that has none. */
const PAGE_ITEMS = "500";

/** A watch from `version`, or a stream of the whole state that goes on as one. */
export function watchQuery(plan: Plan & { kind: "watch" | "watch-list" }, version: string, seconds: number): Query {
  const query = { watch: "true", allowWatchBookmarks: "true", timeoutSeconds: String(seconds) };
  if (plan.kind === "watch") return { ...query, resourceVersion: version };
  const initial = { sendInitialEvents: "true", resourceVersionMatch: "NotOlderThan" };
  return { ...query, ...initial, resourceVersion: versionFrom(plan.from, version) };
}

/** The first page of a list. */
export function listQuery(from: ListSource, version: string): Query {
  const resourceVersion = versionFrom(from, version);
  if (resourceVersion === "") return { limit: PAGE_ITEMS };
  return { limit: PAGE_ITEMS, resourceVersion, resourceVersionMatch: "NotOlderThan" };
}

/** The page behind a token, which holds the version too. */
export function nextPageQuery(token: string): Query {
  return { limit: PAGE_ITEMS, continue: token };
}

/** Answered with 504 by a server that has not come as far as `version`. */
export function probeQuery(version: string): Query {
  return { limit: "1", resourceVersion: version, resourceVersionMatch: "NotOlderThan" };
}

/** No version is the latest state, "0" whatever the watch cache holds. */
function versionFrom(from: ListSource, version: string): string {
  switch (from) {
    case "latest":
      return "";
    case "last":
      return version;
    case "cache":
      return "0";
  }
}
