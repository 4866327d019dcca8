import { expect, test } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import { type Keys, NO_KEYS } from "../../../src/model/kernel/keys.ts";
import { PendingWork } from "../../../src/sync/pending-work.ts";
import { ActualState } from "../../../src/sync/resync/actual-state.ts";
import { address } from "../../support/objects/desired.ts";

const on = (...ips: string[]): Keys => ({ ...NO_KEYS, addresses: ips.map(address) });

/** An actual state with one address that nobody wants, for a comparison to find. */
function withAddress(ip: string): ActualState {
  const actual = new ActualState();
  actual.setAddress(address(ip), true);
  return actual;
}

/** Takes all; of what was compared, only what differs. */
function drained(pending: PendingWork): string[] {
  const taken: string[] = [];
  for (let next = pending.next(); next !== undefined; next = pending.next()) taken.push(...next.keys.addresses);
  return taken;
}

test("marked change sets come first, then the comparison that was required", () => {
  const pending = new PendingWork();
  expect([pending.isEmpty, pending.needsComparison]).toEqual([false, true]);
  pending.beginComparison(new DesiredState(), withAddress("10.0.0.9"), 5);
  pending.mark(on("10.0.0.1"), 7);
  expect([pending.oldestMs, pending.firstMarkedMs]).toEqual([5, 7]);
  expect(drained(pending)).toEqual(["10.0.0.1", "10.0.0.9"]);
  expect([pending.isEmpty, pending.isComparing, pending.size, pending.oldestMs]).toEqual([true, false, 0, undefined]);
});

test("a change that is not queued counts as one object since it was marked, until a comparison begins", () => {
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

test("a comparison that is required while one goes on begins anew", () => {
  const pending = new PendingWork();
  pending.beginComparison(new DesiredState(), withAddress("10.0.0.9"), 1);
  pending.requireComparison();
  expect(pending.isEmpty).toBe(false);
  pending.beginComparison(new DesiredState(), withAddress("10.0.0.8"), 2);
  expect(drained(pending)).toEqual(["10.0.0.8"]);
});
