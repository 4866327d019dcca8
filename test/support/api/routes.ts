import type { ApiPath } from "./store.ts";

/** What a request is about, in the words of RBAC. */
export interface Route {
  readonly group: string;
  readonly resource: string;
  /** "" for all. */
  readonly namespace: string;
  /** "" for none in particular. */
  readonly name: string;
  readonly verb: string;
}

/** A request as the server sees it. */
export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
}

const COLLECTIONS: ReadonlyMap<string, ApiPath> = new Map<string, ApiPath>([
  ["/services", "/api/v1/services"],
  ["discovery.k8s.io/endpointslices", "/apis/discovery.k8s.io/v1/endpointslices"],
  ["/nodes", "/api/v1/nodes"],
  ["networking.k8s.io/servicecidrs", "/apis/networking.k8s.io/v1/servicecidrs"],
]);

const PATH = /^\/(?:api|apis\/([^/]+))\/v1(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?$/;

/** Undefined for a path that leads nowhere. */
export function routeOf({ method, path, query }: Asked): Route | undefined {
  const match = PATH.exec(path);
  if (match === null) return undefined;
  const [, group = "", namespace = "", resource = "", name = ""] = match;
  const route = { group, resource, namespace, name, verb: verbOf(method, name, query) };
  return collectionOf(route) === undefined && !isEvents(route) && !isReview(route) ? undefined : route;
}

/** The collection of the store that holds the objects of this resource. */
export function collectionOf({ group, resource }: Pick<Route, "group" | "resource">): ApiPath | undefined {
  return COLLECTIONS.get(`${group}/${resource}`);
}

export function isEvents({ group, resource }: Pick<Route, "group" | "resource">): boolean {
  return group === "events.k8s.io" && resource === "events";
}

export function isReview({ group, resource }: Pick<Route, "group" | "resource">): boolean {
  return ["authentication.k8s.io/tokenreviews", "authorization.k8s.io/subjectaccessreviews"].includes(
    `${group}/${resource}`,
  );
}

function verbOf(method: string, name: string, query: URLSearchParams): string {
  switch (method) {
    case "POST":
      return "create";
    case "PATCH":
      return "patch";
    case "PUT":
      return "update";
    case "DELETE":
      return "delete";
    default:
      if (query.get("watch") === "true") return "watch";
      return name === "" ? "list" : "get";
  }
}
