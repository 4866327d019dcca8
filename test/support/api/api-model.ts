import type { Clock } from "../../../src/model/time/clock.ts";
import {
  type Answer,
  EXPIRED_CONTINUE,
  expired,
  forbidden,
  HEADERS,
  NO_WATCH_PROGRESS,
  NOT_FOUND,
  refusal,
  tooLargeVersion,
  UNAUTHORIZED,
  WATCH_LIST_DISABLED,
} from "./answers.ts";
import { EventRegistry } from "./event-registry.ts";
import { ReviewRegistry } from "./review-registry.ts";
import { type Asked, collectionOf, isEvents, isReview, type Route, routeOf } from "./routes.ts";
import { type Selector, selectorOf } from "./selectors.ts";
import { type ApiPath, ApiStore, type Change, type Collection, type JsonObject } from "./store.ts";

export interface ApiRequest extends Asked {
  readonly authorization: string;
  /** The header, "" without one. */
  readonly acceptEncoding: string;
  /** "" for none. */
  readonly contentType: string;
  readonly body: string;
}

/** One answer on its way to the client. */
export interface Reply {
  head(status: number, headers: Readonly<Record<string, string>>): void;
  write(bytes: Uint8Array): void;
  /** Resolves when the client has taken so much of what was written that more may be. */
  drained(): Promise<void>;
  /** The body is complete. */
  end(): void;
  /** Breaks the connection of this answer in the middle. */
  reset(): void;
  onClose(listener: () => void): void;
}

export interface Rule {
  readonly apiGroup: string;
  readonly resource: string;
  readonly verbs: readonly string[];
}

export interface ApiBehaviour {
  /** Bearer tokens and the users they are; undefined takes anybody. */
  tokens: ReadonlyMap<string, string> | undefined;
  /** What users may do; undefined allows everything. */
  rules: readonly Rule[] | undefined;
  watchList: "streaming" | "disabled" | "etcd-too-old" | "no-end-bookmark";
  /** At most so many items on a page, whatever the limit and also where the real one answers from its cache; 0 for that. */
  pageItems: number;
  unknownFields: readonly string[];
  /** Paths that this server is too old for. */
  unknownPaths: readonly string[];
  /** Consistent reads wait for ever. */
  etcdDown: boolean;
  /** What every request is answered, whoever asks. */
  trouble: Answer | undefined;
  bookmarkEveryMs: number;
}

const ANONYMOUS = "system:anonymous";

/** An open watch. */
interface Watcher {
  readonly end: () => void;
  readonly reset: () => void;
}

/** A kube-apiserver as far as a watching client can tell, without a network. */
export class ApiModel {
  readonly store = new ApiStore();
  readonly events = new EventRegistry();
  readonly reviews = new ReviewRegistry();
  readonly requests: ApiRequest[] = [];
  readonly behaviour: ApiBehaviour = {
    tokens: undefined,
    rules: undefined,
    watchList: "streaming",
    pageItems: 0,
    unknownFields: [],
    unknownPaths: [],
    etcdDown: false,
    trouble: undefined,
    bookmarkEveryMs: 60_000,
  };
  readonly #clock: Clock;
  readonly #watchers = new Set<Watcher>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get openWatches(): number {
    return this.#watchers.size;
  }

  /** Ends all watches, as a shutdown or a slow reader does it (`end`), or as a kill does (`reset`). */
  endWatches(how: "end" | "reset"): void {
    for (const watcher of [...this.#watchers]) watcher[how]();
  }

  handle(request: ApiRequest, reply: Reply): void {
    this.requests.push(request);
    const answer = this.behaviour.trouble ?? this.#refuse(request) ?? this.#answer(request, reply);
    if (answer !== undefined) tellAnswer(reply, answer);
  }

  /** The whole answer, or nothing where it is told bit by bit, or never. */
  #answer(request: ApiRequest, reply: Reply): Answer | undefined {
    const route = routeOf(request);
    if (route === undefined) return NOT_FOUND;
    if (isEvents(route)) return this.events.answer(route, request.contentType, request.body);
    if (isReview(route)) return this.reviews.answer(route, request.body);
    const path = collectionOf(route);
    if (path === undefined || route.name !== "" || this.behaviour.unknownPaths.includes(path)) return NOT_FOUND;
    const selector = selectorOf(request.query);
    if (selector === undefined || this.#isUnknownField(request)) {
      return refusal(400, "BadRequest", `field label not supported: ${request.query.get("fieldSelector")}`);
    }
    const chosen: Selector = (object) => isWithin(route.namespace, object) && selector(object);
    if (route.verb === "watch") return this.#watch(path, request.query, chosen, reply);
    return this.#list(path, request.query, chosen);
  }

  #isUnknownField(request: ApiRequest): boolean {
    const field = request.query.get("fieldSelector") ?? "";
    return this.behaviour.unknownFields.some((unknown) => field.startsWith(unknown));
  }

  #refuse(request: ApiRequest): Answer | undefined {
    const { tokens, rules } = this.behaviour;
    const isAnonymous = request.authorization === "";
    const known = isAnonymous ? ANONYMOUS : tokens?.get(request.authorization.replace(/^Bearer /, ""));
    const user = tokens === undefined ? "anybody" : known;
    if (user === undefined) return UNAUTHORIZED;
    const route = routeOf(request);
    if (route === undefined) return undefined;
    const isAllowed = rules === undefined || rules.some((rule) => allows(rule, route));
    return isAllowed && user !== ANONYMOUS ? undefined : forbidden(user, route);
  }

  #list(path: ApiPath, query: URLSearchParams, selector: Selector): Answer | undefined {
    const asked = query.get("resourceVersion") ?? "";
    const token = query.get("continue") ?? "";
    if (asked === "" && this.behaviour.etcdDown) return undefined;
    if (Number(asked) > this.store.version) {
      const body = JSON.stringify(tooLargeVersion(asked, this.store.version));
      return { status: 504, headers: { ...HEADERS, "retry-after": "1" }, body };
    }
    const one = this.store.collections[path];
    const page = parseToken(token);
    if (page !== undefined && page.version < one.forgottenTo) return EXPIRED_CONTINUE;
    const version = page?.version ?? this.store.version;
    const all = objectsAt(one, version).filter(selector);
    const limit = this.behaviour.pageItems || (asked === "0" ? 0 : Number(query.get("limit") ?? 0));
    const rest = all.slice(page?.start ?? 0);
    const items = limit > 0 ? rest.slice(0, limit) : rest;
    const next = (page?.start ?? 0) + items.length;
    const more = next < all.length ? { continue: makeToken(version, next), remainingItemCount: all.length - next } : {};
    const body = JSON.stringify({
      kind: `${one.kind}List`,
      apiVersion: one.apiVersion,
      metadata: { resourceVersion: String(version), ...more },
      items: items.map(({ kind, apiVersion, ...item }) => item),
    });
    return { status: 200, headers: HEADERS, body };
  }

  #watch(path: ApiPath, query: URLSearchParams, selector: Selector, reply: Reply): Answer | undefined {
    const one = this.store.collections[path];
    const asked = query.get("resourceVersion") ?? "";
    const initial = query.get("sendInitialEvents") === "true";
    if (initial && this.behaviour.watchList === "disabled") return WATCH_LIST_DISABLED;
    if (initial && asked === "" && this.behaviour.etcdDown) return undefined;
    reply.head(200, HEADERS);
    const send = (type: string, object: unknown) => reply.write(Buffer.from(`${JSON.stringify({ type, object })}\n`));
    const refuse = (status: object) => {
      send("ERROR", status);
      reply.end();
      return undefined;
    };
    if (initial && this.behaviour.watchList === "etcd-too-old") return refuse(NO_WATCH_PROGRESS);
    if (initial && Number(asked) > this.store.version) return refuse(tooLargeVersion(asked, this.store.version));
    if (!initial && Number(asked) < one.forgottenTo) return refuse(expired(asked, one.forgottenTo));
    const abort = new AbortController();
    const sent = { version: initial ? this.store.version : Number(asked) };
    const tell = (change: Change) => {
      if (change.version <= sent.version) return;
      const event = eventOf(change, selector);
      if (event === undefined) return;
      sent.version = change.version;
      send(event.type, event.object);
    };
    const bookmark = (end: boolean) => {
      const annotations = end ? { annotations: { "k8s.io/initial-events-end": "true" } } : {};
      const metadata = { resourceVersion: String(this.store.version), ...annotations };
      sent.version = this.store.version;
      send("BOOKMARK", {
        kind: one.kind,
        apiVersion: one.apiVersion,
        metadata,
        endpoints: null,
        ports: null,
        spec: {},
      });
    };
    if (initial) {
      for (const object of [...one.objects.values()].filter(selector)) send("ADDED", object);
      if (this.behaviour.watchList !== "no-end-bookmark") bookmark(true);
    } else {
      for (const change of one.history) tell(change);
    }
    const close = (how: "end" | "reset") => {
      abort.abort();
      this.#watchers.delete(watcher);
      one.listeners.delete(tell);
      reply[how]();
    };
    const watcher = { end: () => close("end"), reset: () => close("reset") };
    this.#watchers.add(watcher);
    one.listeners.add(tell);
    reply.onClose(() => close("reset"));
    const lifetimeMs = Number(query.get("timeoutSeconds") ?? 1800) * 1000;
    void this.#timers(lifetimeMs, abort.signal, () => {
      // Only when there is something to tell; none at all to who is ahead of us.
      if (sent.version < this.store.version && this.behaviour.watchList !== "no-end-bookmark") bookmark(false);
    }).then(watcher.end);
    return undefined;
  }

  async #timers(lifetimeMs: number, signal: AbortSignal, bookmark: () => void): Promise<void> {
    const endMs = this.#clock.now() + lifetimeMs;
    while (!signal.aborted) {
      const leftMs = endMs - this.#clock.now();
      if (leftMs <= 2000) {
        bookmark();
        await this.#clock.sleep(leftMs, signal);
        return;
      }
      await this.#clock.sleep(Math.min(this.behaviour.bookmarkEveryMs, leftMs - 2000), signal);
      if (!signal.aborted) bookmark();
    }
  }
}

function tellAnswer(reply: Reply, { status, headers, body }: Answer): void {
  reply.head(status, headers);
  // Chunks of 2048 bytes, which cut objects and characters anywhere.
  const bytes = Buffer.from(body);
  for (let start = 0; start < bytes.length; start += 2048) reply.write(bytes.subarray(start, start + 2048));
  reply.end();
}

/** What a change is to who sees only the selected objects. */
function eventOf(
  change: Change,
  selector: Selector,
): { readonly type: string; readonly object: JsonObject } | undefined {
  const was = selector(change.before);
  const is = selector(change.after);
  if (is) return { type: was ? "MODIFIED" : "ADDED", object: change.last };
  return was ? { type: "DELETED", object: change.last } : undefined;
}

/** The objects as they were, by undoing what came later; by name, as etcd sorts. */
function objectsAt(one: Collection, version: number): readonly JsonObject[] {
  const objects = new Map(one.objects);
  for (const change of one.history.toReversed()) {
    if (change.version <= version) break;
    const { namespace, name } = change.last.metadata;
    const key = namespace === undefined ? name : `${namespace}/${name}`;
    if (change.before === undefined) objects.delete(key);
    else objects.set(key, change.before);
  }
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
}

function isWithin(namespace: string, object: JsonObject | undefined): boolean {
  return namespace === "" || object?.metadata.namespace === namespace;
}

function allows({ apiGroup, resource, verbs }: Rule, route: Route): boolean {
  return apiGroup === route.group && resource === route.resource && verbs.includes(route.verb);
}

function makeToken(version: number, start: number): string {
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: version, start })).toString("base64");
}

function parseToken(token: string): { readonly version: number; readonly start: number } | undefined {
  if (token === "") return undefined;
  const { rv, start } = JSON.parse(Buffer.from(token, "base64").toString());
  return { version: Number(rv), start: Number(start) };
}
