import { expect, test } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import { type Keys, NO_KEYS } from "../../../src/model/kernel/keys.ts";
import { PendingWork } from "../../../src/sync/pending-work.ts";
import { ActualState } from "../../../src/sync/resync/actual-state.ts";
import { address } from "../../support/objects/desired.ts";

const on = (...ips: string[]): Keys => ({ ...NO_KEYS, addresses: ips.map(address) });

/** An actual state with one address that is not desired, for a comparison to find. */
function withAddress(ip: string): ActualState {
  const actual = new ActualState();
  actual.setAddress(address(ip), "address");
  return actual;
}

/** Takes all pending keys; of the compared objects, only the different ones. */
function drained(pending: PendingWork): string[] {
  const taken: string[] = [];
  for (let next = pending.next(); next !== undefined; next = pending.next()) taken.push(...next.keys.addresses);
  return taken;
}

/** Takes all change sets: their addresses, and the time when they were marked. */
function timed(pending: PendingWork): string[] {
  const taken: string[] = [];
  for (let next = pending.next(); next !== undefined; next = pending.next())
    taken.push(`${[...next.keys.addresses].join(" ")} @${"atMs" in next ? next.atMs : "compared"}`);
  return taken;
}

test("marked change sets are taken first, then the required comparison", () => {
  const pending = new PendingWork();
  expect([pending.isEmpty, pending.needsComparison]).toEqual([false, true]);
  pending.beginComparison(new DesiredState(), withAddress("10.0.0.9"), 5);
  pending.mark(on("10.0.0.1"), 7);
  expect([pending.oldestMs, pending.firstMarkedMs]).toEqual([5, 7]);
  expect(drained(pending)).toEqual(["10.0.0.1", "10.0.0.9"]);
  expect([pending.isEmpty, pending.isComparing, pending.size, pending.oldestMs]).toEqual([true, false, 0, undefined]);
});

test("changes that are not queued count as one pending object since the first of them, until a comparison ends", () => {
  const pending = new PendingWork();
  pending.markUnqueued(NO_KEYS, 2);
  expect([pending.size, pending.oldestMs]).toEqual([0, undefined]);
  pending.markUnqueued(on("10.0.0.1"), 3);
  pending.markUnqueued(on("10.0.0.2"), 4);
  expect([pending.size, pending.oldestMs]).toEqual([1, 3]);
  pending.beginComparison(new DesiredState(), new ActualState(), 8);
  expect([pending.isComparing, pending.oldestMs]).toEqual([true, 3]);
  expect(drained(pending)).toEqual([]);
  expect([pending.size, pending.oldestMs]).toEqual([0, undefined]);
});

test("a comparison that is required while another one runs starts over", () => {
  const pending = new PendingWork();
  pending.beginComparison(new DesiredState(), withAddress("10.0.0.9"), 1);
  pending.requireComparison();
  expect(pending.isEmpty).toBe(false);
  pending.beginComparison(new DesiredState(), withAddress("10.0.0.8"), 2);
  expect(drained(pending)).toEqual(["10.0.0.8"]);
});

test("change sets are taken in the order of arrival, and a set that was put back is taken first", () => {
  const pending = new PendingWork();
  for (let index = 1; index <= 5; index++) pending.mark(on(`10.0.0.${index}`), index);
  pending.next();
  pending.next();
  pending.putBack([on("10.0.0.1", "10.0.0.2")], 1);
  expect(pending.firstMarkedMs).toBe(1);
  expect(timed(pending)).toEqual(["10.0.0.1 10.0.0.2 @1", "10.0.0.3 @3", "10.0.0.4 @4", "10.0.0.5 @5"]);
  expect(pending.firstMarkedMs).toBeUndefined();
});

test("a key in several change sets counts once, and is pending until the last of them is taken", () => {
  const pending = new PendingWork();
  pending.mark(on("10.0.0.1", "10.0.0.2"), 1);
  pending.mark(on("10.0.0.1"), 2);
  expect(pending.size).toBe(2);
  pending.next();
  expect([pending.size, pending.has(address("10.0.0.1")), pending.has(address("10.0.0.2"))]).toEqual([1, true, false]);
  pending.next();
  expect([pending.size, pending.next()]).toEqual([0, undefined]);
});

test("an empty change set is not queued", () => {
  const pending = new PendingWork();
  pending.mark(on(), 1);
  expect([pending.firstMarkedMs, pending.next()]).toEqual([undefined, undefined]);
});
