import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Reflector } from "../../src/watch/reflector.ts";
import { watchedServices } from "../../src/watch/resources.ts";
import { ApiModel } from "../support/api/api-model.ts";
import { HandClock, settle } from "../support/api/hand-clock.ts";
import { type Fault, ModelTransport } from "../support/api/model-transport.ts";
import { SILENT_LOGGER } from "../support/api/silent-logger.ts";
import { SourceWorld } from "../support/api/source-world.ts";
import type { ApiStore, JsonObject } from "../support/api/store.ts";
import { apiService, ToldCluster } from "../support/api/told-cluster.ts";

const SERVICES = "/api/v1/services";
const FOREIGN = { "service.kubernetes.io/service-proxy-name": "" };
const { STRESS = "1" } = process.env;
const runs = 1500 * Number(STRESS);

/** What happens to the objects. */
type Edit = { readonly kind: "put" | "make-foreign" | "make-headless" | "delete"; readonly name: string };

/** What happens to the server, the network and time. */
type Act =
  | Edit
  | { readonly kind: "pass"; readonly ms: number }
  /** All watches end, and the next requests meet the faults. */
  | { readonly kind: "break"; readonly how: "end" | "reset"; readonly faults: readonly Fault[] }
  /** Edits that nobody sees happen; afterwards the server may not remember that they did. */
  | {
      readonly kind: "outage";
      readonly edits: readonly Edit[];
      readonly forgets: boolean;
      readonly faults: readonly Fault[];
    };

const name = fc.constantFrom("a", "b", "c", "d", "e");
const afterBytes = fc.nat(2500);
const fault: fc.Arbitrary<Fault> = fc.oneof(
  fc.record({ kind: fc.constant("refuse" as const) }),
  fc.record({ kind: fc.constant("no-answer" as const) }),
  fc.record({
    kind: fc.constant("answer" as const),
    status: fc.constantFrom(400, 401, 403, 404, 410, 422, 429, 500, 503, 504),
    body: fc.constantFrom("", "<html>bad gateway</html>", "slow down"),
    retryAfterMs: fc.constantFrom(0, 1000, 7000),
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
    text: fc.constantFrom("garbage\n", "{}\n", '{"type":"ADDED"}\n', '{"type":"ADDED","object":{"metadata":{}}}\n'),
  }),
  fc.record({ kind: fc.constant("replay" as const), afterLines: fc.integer({ min: 1, max: 4 }) }),
);
const edit: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("put" as const), name }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), name }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("make-foreign" as const, "make-headless" as const), name }),
  },
);
const how = fc.constantFrom("end" as const, "reset" as const);
const nextFaults = fc.array(fault, { maxLength: 3 });
const edits = fc.array(edit, { minLength: 1, maxLength: 4 });
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: edit },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(50, 3000, 40_000, 700_000) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("break" as const), how, faults: nextFaults }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("outage" as const), edits, forgets: fc.boolean(), faults: nextFaults }),
  },
);
const world = fc.record({
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

test("after things calm down exactly what the server has is told, and nothing ever went backwards", async () => {
  await fc.assert(
    fc.asyncProperty(world, async ({ acts, watchList, pageItems, knowsField, pieceBytes, seed }) => {
      const clock = new HandClock();
      const model = new ApiModel(clock);
      Object.assign(model.behaviour, { watchList, pageItems, unknownFields: knowsField ? [] : ["spec.clusterIP"] });
      const transport = new ModelTransport(model);
      transport.pieceBytes = pieceBytes;
      const faults: Fault[] = [];
      transport.fault = () => faults.shift();
      const told = new ToldCluster();
      const parts = { transport, sink: told, clock, random: randomFrom(seed), logger: SILENT_LOGGER };
      const reflector = new Reflector(watchedServices(), parts);
      const stop = new AbortController();
      const running = reflector.run(stop.signal);
      let revision = 0;

      const perform = async (one: Act): Promise<void> => {
        switch (one.kind) {
          case "put":
          case "make-foreign":
          case "make-headless":
          case "delete":
            revision++;
            editStore(model.store, one, revision);
            return;
          case "pass":
            await clock.advance(one.ms);
            return;
          case "break":
            model.endWatches(one.how);
            faults.push(...one.faults);
            return;
          case "outage":
            model.endWatches("reset");
            for (const hidden of one.edits) await perform(hidden);
            if (one.forgets) model.store.forgetHistory();
            faults.push(...one.faults);
            await clock.advance(3000);
        }
      };
      for (const one of acts) {
        await perform(one);
        await settle();
      }
      faults.length = 0;
      // Longer than the longest watch, the longest backoff and a probe together.
      await clock.advance(1_500_000);
      expect([...told.services].sort()).toEqual(truth(model));
      expect(told.faults).toEqual([]);
      expect(told.listed).toEqual(new Set(["services"]));

      stop.abort();
      await running;
      const before = told.events.length;
      model.store.put(SERVICES, apiService("a", ++revision));
      await clock.advance(1_000_000);
      expect(told.events.length, "told after the stop").toBe(before);
      expect([model.openWatches, clock.sleeping], "left open after the stop").toEqual([0, 0]);
    }),
    { numRuns: runs },
  );
});

/** What happens to connections. */
type SocketAct =
  | Edit
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "reset" | "drop" | "end" | "go-away" | "refuse-streams" | "restart" | "restart-forgetting" };

const socketAct: fc.Arbitrary<SocketAct> = fc.oneof(
  { weight: 6, arbitrary: edit },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "reset" as const,
        "drop" as const,
        "end" as const,
        "go-away" as const,
        "refuse-streams" as const,
        "restart" as const,
        "restart-forgetting" as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(50, 3000, 29_000) }) },
);

test("the same holds over TLS, with HTTP/2 and HTTP/1.1, for what happens to connections", async () => {
  const folder = await mkdtemp(join(tmpdir(), "watch-"));
  await fc.assert(
    fc.asyncProperty(fc.array(socketAct, { maxLength: 25 }), fc.boolean(), fc.nat(), async (acts, isHttp2, seed) => {
      const one = new SourceWorld();
      try {
        await one.serve({ protocol: isHttp2 ? "h2" : "http/1.1" });
        await writeFile(join(folder, "kubeconfig"), one.kubeconfig("{}"));
        await one.watch(join(folder, "kubeconfig"), "", randomFrom(seed));
        for (const [index, act] of acts.entries()) await performOnSocket(one, act, index + 1);
        await one.until("the server's truth", () => {
          return one.told.listed.size === 4 && isDeepStrictEqual([...one.told.services].sort(), truth(one.model));
        });
        expect(one.told.faults).toEqual([]);
      } finally {
        await one.stop();
      }
    }),
    { numRuns: Math.ceil(runs / 30) },
  );
  await rm(folder, { recursive: true });
});

async function performOnSocket(one: SourceWorld, act: SocketAct, revision: number): Promise<void> {
  switch (act.kind) {
    case "put":
    case "make-foreign":
    case "make-headless":
    case "delete":
      editStore(one.model.store, act, revision);
      return;
    case "pass":
      await one.clock.advance(act.ms);
      return;
    case "reset":
      one.server.resetConnections();
      return;
    case "drop":
      one.server.dropConnections();
      return;
    case "end":
      one.model.endWatches("end");
      return;
    case "go-away":
      one.server.goAway();
      return;
    case "refuse-streams":
      one.server.refuseStreams(2);
      return;
    case "restart-forgetting":
      one.model.store.forgetHistory();
      await one.restart();
      return;
    case "restart":
      await one.restart();
  }
}

function editStore(store: ApiStore, { kind, name }: Edit, revision: number): void {
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
function truth(model: ApiModel): readonly (readonly [string, number])[] {
  const objects = [...model.store.collections[SERVICES].objects];
  return objects.flatMap(([key, object]) => (isServed(object) ? [[key, revisionOf(object)] as const] : [])).sort();
}

function isServed(object: JsonObject): boolean {
  const foreign = object.metadata.labels?.["service.kubernetes.io/service-proxy-name"] !== undefined;
  return !foreign && !JSON.stringify(object).includes('"None"');
}

function revisionOf(object: JsonObject): number {
  return Number(/"port":(\d+)/.exec(JSON.stringify(object))?.[1]);
}

/** Mulberry32: numbers in [0, 1) that follow from the seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
