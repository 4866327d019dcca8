import type { PageView } from "../explain/page/page-messages.ts";

/** The view that a fragment of the URL names: "#/?search=web&offset=50" or "#/service/shop/web". */
export function viewOf(hash: string): PageView {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  const [, service = ""] = /^\/service\/(.+)$/.exec(path) ?? [];
  const parameters = new URLSearchParams(query);
  const offset = Number.parseInt(parameters.get("offset") ?? "", 10) || 0;
  return {
    search: parameters.get("search") ?? "",
    onlyProblems: parameters.get("problems") === "true",
    offset: Math.max(0, offset),
    service: decoded(service),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The parameters of a list, in the URL of the page and of its events. */
export function parametersOf({ search, onlyProblems, offset }: PageView): URLSearchParams {
  return new URLSearchParams({
    ...(search === "" ? {} : { search }),
    ...(onlyProblems ? { problems: "true" } : {}),
    ...(offset === 0 ? {} : { offset: String(offset) }),
  });
}

/** The fragment of the URL for a view. The page of a Service keeps the list from which it was opened. */
export function hashOf(view: PageView): string {
  const query = parametersOf(view).toString();
  const path = view.service === "" ? "/" : `/service/${view.service}`;
  return `#${path}${query === "" ? "" : `?${query}`}`;
}
