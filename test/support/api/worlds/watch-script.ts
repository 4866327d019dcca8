import fc from "fast-check";
import { OutageLog } from "../../../../src/sources/api/outage/outage-log.ts";
import { Reflector } from "../../../../src/sources/api/reflector.ts";
import { watchedServices } from "../../../../src/sources/api/resources.ts";
import { randomFrom } from "../../hostile/random.ts";
import { ApiModel } from "../api-model.ts";
import { Replication } from "../replication.ts";
import type { ApiStore, JsonObject } from "../store.ts";
import { HandClock, settle } from "./hand-clock.ts";
import { type Fault, ModelTransport } from "./model-transport.ts";
import { apiService, ReportedCluster } from "./reported-cluster.ts";
import { SILENT_LOGGER } from "./silent-logger.ts";

/*
 * A reflector of Services before two API servers, while objects change, servers, network and time do what they do, and the second
 * server lags behind the first. `watchScript` makes such stories, `runWatchScript` plays one and finds what must not be.
 */

const SERVICES = "/api/v1/services";
const FOREIGN = { "service.kubernetes.io/service-proxy-name": "" };
/** The longest that all servers which answer lag: far less than what is taken for a restore of etcd. */
const LONGEST_LAG_MS = 30_000;
/** Longer than the longest wait between two requests: one reaches a server that does not lag. */
const CATCH_UP_MS = 70_000;

/** What happens to the objects. */
export type Edit = { readonly kind: "put" | "make-foreign" | "make-headless" | "delete"; readonly name: string };

/** What happens to servers, network and time. */
export type Act =
  | Edit
  | { readonly kind: "pass"; readonly ms: number }
  /** All watches end, and the next requests meet the faults. */
  | { readonly kind: "break"; readonly how: "end" | "reset"; readonly faults: readonly Fault[] }
  /** Edits that nobody sees happen; afterwards the servers may not remember that they did. */
  | {
      readonly kind: "outage";
      readonly edits: readonly Edit[];
      readonly forgets: boolean;
      readonly faults: readonly Fault[];
    }
  /** A load balancer or a lost connection leads to the other server. */
  | { readonly kind: "move" }
  /** The second server gets no more changes, then some of those that it missed, or all. */
  | { readonly kind: "hold" }
  | { readonly kind: "release"; readonly count: number }
  /**
   * The first server goes down while the second has not seen the last edits yet, for so long; then either comes to itself. With
   * `expires` the state has to be listed in that time, after the faults.
   */
  | {
      readonly kind: "fail-over";
      readonly edits: readonly Edit[];
      readonly expires: boolean;
      readonly faults: readonly Fault[];
      readonly crashAfterMs: number;
      readonly lagMs: number;
      readonly firstReturns: boolean;
    };

export interface WatchScript {
  readonly acts: readonly Act[];
  readonly watchList: ApiModel["behaviour"]["watchList"];
  readonly pageItems: number;
  readonly knowsField: boolean;
  readonly pieceBytes: number;
  readonly seed: number;
}

const afterBytes = fc.nat(2500);
const ERROR_EVENTS = [
  { code: 500, reason: "InternalError", message: "it broke" },
  { reason: "Expired", message: "too old resource version" },
  { code: 429, details: { retryAfterSeconds: 1e9 } },
  {},
].map((object) => `${JSON.stringify({ type: "ERROR", object })}\n`);
const GARBAGE = ["garbage\n", "{}\n", '{"type":"ADDED"}\n', '{"type":"ADDED","object":{"metadata":{}}}\n'];

const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant("refuse" as const) }),
  fc.record({ kind: fc.constant("no-answer" as const) }),
  fc.record({
    kind: fc.constant("answer" as const),
    status: fc.constantFrom(302, 400, 401, 403, 404, 410, 422, 429, 500, 503, 504),
    body: fc.constantFrom("", "<html>bad gateway</html>", "slow down"),
    retryAfterMs: fc.constantFrom(0, 1000, 7000),
  }),
  fc.record({
    kind: fc.constant("answer" as const),
    status: fc.constant(200),
    body: fc.constantFrom("", "<html>sign in</html>", ...ERROR_EVENTS),
    contentType: fc.constantFrom("", "text/html", "application/json"),
  }),
  fc.record({
    kind: fc.constant("cut" as const),
    afterBytes,
    how: fc.constantFrom("end" as const, "reset" as const),
  }),
  fc.record({ kind: fc.constant("stall" as const), afterBytes }),
  fc.record({
    kind: fc.constant("garbage" as const),
    afterLines: fc.nat(4),
    text: fc.constantFrom(...GARBAGE, ...ERROR_EVENTS),
  }),
  fc.record({
    kind: fc.constant("keep-alive" as const),
    afterLines: fc.nat(2),
    text: fc.constantFrom("\n", " ", "\r\n \n"),
  }),
  fc.record({ kind: fc.constant("replay" as const), afterLines: fc.integer({ min: 1, max: 4 }) }),
);

const name = fc.constantFrom("a", "b", "c", "d", "e");

/** One change of one object. */
export const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("put" as const), name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), name }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("make-foreign" as const, "make-headless" as const), name }),
  },
);

const how = fc.constantFrom("end" as const, "reset" as const);
const faults = fc.array(fault, { maxLength: 3 });
const edits = fc.array(edit, { minLength: 1, maxLength: 4 });

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: edit },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(50, 3000, 40_000, 700_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("break" as const), how, faults }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("outage" as const), edits, forgets: fc.boolean(), faults }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("move" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("hold" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("release" as const), count: fc.integer({ min: 1, max: 9 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("fail-over" as const),
      edits,
      expires: fc.boolean(),
      faults,
      crashAfterMs: fc.constantFrom(0, 300, 2500),
      lagMs: fc.constantFrom(0, 900, 5000, 20_000, LONGEST_LAG_MS),
      firstReturns: fc.boolean(),
    }),
  },
);

export const watchScript: fc.Arbitrary<WatchScript> = fc.record({
  acts: fc.array(act, { maxLength: 40 }),
  watchList: fc.constantFrom(
    "streaming" as const,
    "streaming" as const,
    "disabled" as const,
    "etcd-too-old" as const,
    "no-end-bookmark" as const,
  ),
  pageItems: fc.constantFrom(0, 1, 2),
  knowsField: fc.boolean(),
  pieceBytes: fc.constantFrom(1, 7, 300, 16_384),
  seed: fc.nat(),
});

/** Plays a script to its end and lets things calm down. What must not be, in words; empty when all is right. */
export async function runWatchScript(script: WatchScript): Promise<readonly string[]> {
  const stage = new Stage(script);
  for (const one of script.acts) {
    await stage.perform(one);
    await settle();
  }
  return await stage.finish();
}

class Stage {
  readonly #clock = new HandClock();
  readonly #first = new ApiModel(this.#clock);
  readonly #second = new ApiModel(this.#clock);
  readonly #replication = new Replication(this.#first.store, this.#second.store);
  readonly #transport = new ModelTransport(this.#first, this.#second);
  readonly #faults: (Fault | undefined)[] = [];
  /** The revision that each Service had when it last went, by the first server. */
  readonly #removed = new Map<string, number>();
  readonly #told = new ReportedCluster((service, revision) => revision <= (this.#removed.get(service) ?? 0));
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #revision = 0;

  constructor({ watchList, pageItems, knowsField, pieceBytes, seed }: WatchScript) {
    const unknownFields = knowsField ? [] : ["spec.clusterIP"];
    for (const { behaviour } of [this.#first, this.#second])
      Object.assign(behaviour, { watchList, pageItems, unknownFields });
    this.#transport.pieceBytes = pieceBytes;
    this.#transport.fault = () => this.#faults.shift();
    const shared = { clock: this.#clock, logger: SILENT_LOGGER };
    const outages = new OutageLog(shared);
    const parts = { ...shared, transport: this.#transport, handler: this.#told, random: randomFrom(seed), outages };
    this.#running = new Reflector(watchedServices(), parts).run(this.#stop.signal);
  }

  async perform(one: Act): Promise<void> {
    switch (one.kind) {
      case "put":
      case "make-foreign":
      case "make-headless":
      case "delete":
        this.#edit(one);
        return;
      case "pass":
        await this.#clock.advance(one.ms);
        return;
      case "break":
        this.#endWatches(one.how);
        this.#faults.push(...one.faults);
        return;
      case "outage":
        this.#endWatches("reset");
        for (const hidden of one.edits) this.#edit(hidden);
        if (one.forgets) this.#forget();
        this.#faults.push(...one.faults);
        await this.#clock.advance(3000);
        return;
      case "move":
        this.#transport.move();
        return;
      case "hold":
        this.#replication.hold();
        return;
      case "release":
        this.#replication.release(one.count);
        return;
      case "fail-over":
        await this.#failOver(one);
    }
  }

  async #failOver(one: Act & { readonly kind: "fail-over" }): Promise<void> {
    this.#replication.hold();
    for (const seen of one.edits) {
      this.#edit(seen);
      await settle();
    }
    if (one.expires) {
      this.#first.endWatches("end");
      this.#edit({ kind: "put", name: "a" });
      this.#first.store.forgetHistory();
      // The watch that is refused comes before them.
      this.#faults.push(undefined, ...one.faults);
    }
    await this.#clock.advance(one.crashAfterMs);
    this.#transport.crash(this.#first);
    await this.#clock.advance(one.lagMs);
    if (one.firstReturns) this.#transport.start(this.#first);
    else this.#replication.release();
    await this.#clock.advance(CATCH_UP_MS);
    this.#transport.start(this.#first);
  }

  async finish(): Promise<readonly string[]> {
    this.#faults.length = 0;
    this.#replication.release();
    // Longer than the longest watch, the longest backoff and a probe together.
    await this.#clock.advance(1_500_000);
    const findings = [...this.#told.faults, ...differences(this.#told.services, servedServices(this.#first))];
    if (!this.#told.listed.has("services")) findings.push("never listed");
    this.#stop.abort();
    await this.#running;
    const before = this.#told.events.length;
    this.#edit({ kind: "put", name: "a" });
    await this.#clock.advance(1_000_000);
    if (this.#told.events.length > before) findings.push("told after the stop");
    const watches = this.#first.openWatches + this.#second.openWatches;
    if (watches > 0) findings.push(`${watches} watches left open after the stop`);
    if (this.#clock.sleeping > 0) findings.push(`${this.#clock.sleeping} timers left after the stop`);
    return findings;
  }

  #edit(one: Edit): void {
    const key = `demo/${one.name}`;
    const before = servedServices(this.#first).get(key);
    editService(this.#first.store, one, ++this.#revision);
    if (before !== undefined && !servedServices(this.#first).has(key)) this.#removed.set(key, before);
  }

  #endWatches(how: "end" | "reset"): void {
    this.#first.endWatches(how);
    this.#second.endWatches(how);
  }

  #forget(): void {
    this.#first.store.forgetHistory();
    this.#second.store.forgetHistory();
  }
}

/** Carries out an edit, in a revision that shows as the number of the port. */
export function editService(store: ApiStore, { kind, name }: Edit, revision: number): void {
  const service = apiService(name, revision);
  switch (kind) {
    case "put":
      store.put(SERVICES, service);
      return;
    case "make-headless":
      store.put(SERVICES, apiService(name, revision, { clusterIP: "None", clusterIPs: ["None"] }));
      return;
    case "make-foreign":
      store.put(SERVICES, { ...service, metadata: { ...service.metadata, labels: FOREIGN } });
      return;
    case "delete":
      store.delete(SERVICES, `demo/${name}`);
  }
}

/** Names and revisions of what a proxy should serve, read off the raw objects. */
export function servedServices(model: ApiModel): ReadonlyMap<string, number> {
  const objects = [...model.store.collections[SERVICES].objects];
  return new Map(objects.flatMap(([key, object]) => (isServed(object) ? [[key, revisionOf(object)] as const] : [])));
}

function differences(told: ReadonlyMap<string, number>, served: ReadonlyMap<string, number>): readonly string[] {
  return [...new Set([...told.keys(), ...served.keys()])]
    .filter((key) => told.get(key) !== served.get(key))
    .map((key) => `${key} is told as ${told.get(key)} and is ${served.get(key)}`);
}

function isServed(object: JsonObject): boolean {
  const foreign = object.metadata.labels?.["service.kubernetes.io/service-proxy-name"] !== undefined;
  return !foreign && !JSON.stringify(object).includes('"None"');
}

function revisionOf(object: JsonObject): number {
  return Number(/"port":(\d+)/.exec(JSON.stringify(object))?.[1]);
}
