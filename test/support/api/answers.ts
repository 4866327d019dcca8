import type { Route } from "./routes.ts";

/** The headers and bodies of kube-apiserver 1.36, as in the recorded exchanges of test/fixtures/apiserver. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export const HEADERS: Readonly<Record<string, string>> = {
  "audit-id": "17da795e-16d6-4486-87c7-d7ea0f992f1c",
  "cache-control": "no-cache, private",
  "content-type": "application/json",
  "x-kubernetes-pf-flowschema-uid": "e7e9a9e7-4fbc-45c3-9e22-a3827e8e2143",
  "x-kubernetes-pf-prioritylevel-uid": "52ab7bab-9446-431b-b2bb-7521e3980824",
};

interface Details {
  readonly details?: unknown;
  readonly metadata?: unknown;
  readonly retryAfter?: number;
}

export function status(code: number, reason: string, message: string, more: Details = {}): object {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: more.metadata ?? {},
    status: "Failure",
    message,
    ...(reason === "" ? {} : { reason }),
    ...(more.details === undefined ? {} : { details: more.details }),
    code,
  };
}

export function refusal(code: number, reason: string, message: string, more: Details = {}): Answer {
  const body = JSON.stringify(status(code, reason, message, more));
  const retry = more.retryAfter === undefined ? {} : { "retry-after": String(more.retryAfter) };
  return { status: code, headers: { ...HEADERS, ...retry, "content-length": String(Buffer.byteLength(body)) }, body };
}

/** An answer with an object. */
export function answered(code: number, object: object): Answer {
  const body = JSON.stringify(object);
  return { status: code, headers: { ...HEADERS, "content-length": String(Buffer.byteLength(body)) }, body };
}

export const UNAUTHORIZED = refusal(401, "Unauthorized", "Unauthorized");

export const NOT_FOUND = refusal(404, "NotFound", "the server could not find the requested resource", { details: {} });

export const TOO_MANY_REQUESTS: Answer = {
  status: 429,
  headers: { ...HEADERS, "content-type": "text/plain; charset=utf-8", "retry-after": "1", "content-length": "43" },
  body: "Too many requests, please try again later.\n",
};

export const WATCH_LIST_DISABLED = refusal(
  422,
  "Invalid",
  'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
);

/** What the user may not do. */
export function forbidden(user: string, { verb, group, resource, namespace, name }: Route): Answer {
  const qualified = group === "" ? resource : `${resource}.${group}`;
  const object = name === "" ? qualified : `${qualified} "${name}"`;
  const where = namespace === "" ? "at the cluster scope" : `in the namespace "${namespace}"`;
  const message = `${object} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`;
  const named = name === "" ? {} : { name };
  const grouped = group === "" ? {} : { group };
  return refusal(403, "Forbidden", message, { details: { ...named, ...grouped, kind: resource } });
}

export function tooLargeVersion(asked: string, current: number): object {
  return status(504, "Timeout", `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    details: {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    },
  });
}

export function expired(asked: string, oldest: number): object {
  return status(410, "Expired", `too old resource version: ${asked} (${oldest})`);
}

export const EXPIRED_CONTINUE = refusal(
  410,
  "Expired",
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results.",
  { metadata: { continue: "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0Ijoid2ViLTNcdTAwMDAifQ" } },
);

export const NO_WATCH_PROGRESS = status(
  500,
  "InternalError",
  "a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled",
);
