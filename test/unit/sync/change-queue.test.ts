import { expect, test } from "vitest";
import type { Keys } from "../../../src/model/kernel/keys.ts";
import { ChangeQueue } from "../../../src/sync/change-queue.ts";
import { address } from "../../support/objects/desired.ts";

const on = (...ips: string[]): Keys => ({
  servers: new Set(),
  addresses: new Set(ips.map(address)),
  entries: new Set(),
});

function drained(queue: ChangeQueue): string[] {
  const taken: string[] = [];
  for (let set = queue.shift(); set !== undefined; set = queue.shift())
    taken.push(`${[...set.keys.addresses].join(" ")} @${set.atMs}`);
  return taken;
}

test("change sets leave in the order they came, and a set that was put back leaves first", () => {
  const queue = new ChangeQueue();
  for (let index = 1; index <= 5; index++) queue.push(on(`10.0.0.${index}`), index);
  queue.shift();
  queue.shift();
  queue.putBack([on("10.0.0.1", "10.0.0.2")], 1);
  expect(queue.oldestMs).toBe(1);
  expect(drained(queue)).toEqual(["10.0.0.1 10.0.0.2 @1", "10.0.0.3 @3", "10.0.0.4 @4", "10.0.0.5 @5"]);
  expect(queue.oldestMs).toBeUndefined();
});

test("a key in several change sets is one key, and waits until the last of them has left", () => {
  const queue = new ChangeQueue();
  queue.push(on("10.0.0.1", "10.0.0.2"), 1);
  queue.push(on("10.0.0.1"), 2);
  expect(queue.size).toBe(2);
  queue.shift();
  expect([queue.size, queue.has(address("10.0.0.1")), queue.has(address("10.0.0.2"))]).toEqual([1, true, false]);
  queue.shift();
  expect([queue.size, queue.shift()]).toEqual([0, undefined]);
});

test("an empty change set is none", () => {
  const queue = new ChangeQueue();
  queue.push(on(), 1);
  expect([queue.oldestMs, queue.shift()]).toEqual([undefined, undefined]);
});
