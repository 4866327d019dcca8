import fc from "fast-check";
import type { ApiModel } from "../api-model.ts";
import type { Fault } from "./model-transport.ts";

/*
 * A reflector of Services before two API servers, while objects change, servers, network and time do what they do, and the second
 * server lags behind the first. `watchScript` makes such stories, `runWatchScript` of `watch-stage.ts` plays one and finds what must not be.
 */

/** The longest that all servers which answer lag: far less than what is taken for a restore of etcd. */
const LONGEST_LAG_MS = 30_000;

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
