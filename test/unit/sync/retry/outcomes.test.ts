import { expect, test } from "vitest";
import type { Errno } from "../../../../src/model/kernel/errno.ts";
import { ipset, portEntry } from "../../../../src/model/kernel/ipset.ts";
import { type Scheduler, virtualServer } from "../../../../src/model/kernel/ipvs.ts";
import { inSafeOrder, type Operation, type OperationKind } from "../../../../src/model/kernel/operation.ts";
import { RealServers } from "../../../../src/model/kernel/real-servers.ts";
import { classifyOutcomes } from "../../../../src/sync/retry/outcomes.ts";
import { backoffMs, RetryQueue } from "../../../../src/sync/retry/retry-queue.ts";
import { address, realServer } from "../../../support/objects/desired.ts";

const server = virtualServer("TCP", address("10.96.0.1"), 80, { scheduler: "rr" as Scheduler }); // any word will do
const real = realServer(address("10.244.0.1"), 8080);
const entry = portEntry(ipset("KUBE-NODE-PORT-TCP", "IPv4"), 30_001);

const OPERATIONS: Readonly<Record<OperationKind, Operation>> = {
  "forget-flows": { kind: "forget-flows", to: server.key, keep: RealServers.NONE },
  "delete-entry": { kind: "delete-entry", entry },
  "delete-virtual-server": { kind: "delete-virtual-server", server },
  "delete-real-server": { kind: "delete-real-server", server, real },
  "unbind-address": { kind: "unbind-address", binding: "address", address: address("10.96.0.1") },
  "bind-address": { kind: "bind-address", binding: "address", address: address("10.96.0.1") },
  "update-real-server": { kind: "update-real-server", server, real },
  "add-real-server": { kind: "add-real-server", server, real },
  "update-virtual-server": { kind: "update-virtual-server", server },
  "add-virtual-server": { kind: "add-virtual-server", server },
  "add-entry": { kind: "add-entry", entry },
};

test("operations are sorted into a safe order, and those of one kind keep their order", () => {
  const other = { ...OPERATIONS["add-entry"], entry: portEntry(entry.set, 30_002) } as Operation; // same kind, same shape
  const order = inSafeOrder([...Object.values(OPERATIONS), other]);
  expect(order.map(({ kind }) => kind)).toEqual(["add-entry", ...Object.keys(OPERATIONS).reverse()]);
  expect(order.slice(0, 2)).toEqual([OPERATIONS["add-entry"], other]);
});

test.each<[OperationKind, Errno, boolean]>([
  ["add-virtual-server", "EEXIST", true],
  ["add-virtual-server", "ENOENT", false],
  ["update-virtual-server", "ESRCH", true],
  ["update-virtual-server", "ENOENT", false],
  ["delete-virtual-server", "ESRCH", true],
  ["add-real-server", "EEXIST", true],
  ["add-real-server", "ESRCH", true],
  ["update-real-server", "ENOENT", true],
  ["update-real-server", "ESRCH", true],
  ["delete-real-server", "ENOENT", true],
  ["delete-real-server", "ESRCH", true],
  ["delete-real-server", "EPERM", false],
  ["bind-address", "EEXIST", true],
  ["bind-address", "ENODEV", true],
  ["bind-address", "EADDRNOTAVAIL", false],
  ["unbind-address", "EADDRNOTAVAIL", true],
  ["add-entry", "EEXIST", true],
  ["add-entry", "ENOENT", true],
  ["add-entry", "IPSET_ERR_HASH_FULL", false],
  ["delete-entry", "ENOENT", true],
  ["forget-flows", "EINVAL", false],
])("%s failing with %s contradicts the actual state: %s", (kind, errno, contradicted) => {
  const { done, failed } = classifyOutcomes([OPERATIONS[kind]], [{ ok: false, errno }]);
  expect(done).toEqual([]);
  expect([...failed.values()].map((each) => each.contradicted)).toEqual([contradicted]);
});

test("ESRCH of a real server whose virtual server failed contradicts nothing, EEXIST contradicts the actual state", () => {
  const operations = [OPERATIONS["add-virtual-server"], OPERATIONS["add-real-server"]];
  const contradicted = (second: Errno) =>
    classifyOutcomes(operations, [
      { ok: false, errno: "ENOMEM" },
      { ok: false, errno: second },
    ]).failed.get(server.key)?.contradicted;
  expect([contradicted("ESRCH"), contradicted("EEXIST")]).toEqual([false, true]);
});

test("fewer outcomes than operations is a bug and throws", () => {
  expect(() => classifyOutcomes([OPERATIONS["add-entry"]], [])).toThrow("0 outcomes for 1");
});

test("the backoff doubles from a second to a minute", () => {
  expect([1, 2, 3, 6, 7, 8, 5_000].map(backoffMs)).toEqual([1_000, 2_000, 4_000, 32_000, 60_000, 60_000, 60_000]);
});

test("a contradicted object is retried at once, and after a second contradiction in a row waits as any other", () => {
  const reported: string[] = [];
  const queue = new RetryQueue({
    failed: (key) => reported.push(`failed ${key}`),
    ended: (key) => reported.push(`ended ${key}`),
  });
  const name = { kind: "server", key: server.key } as const;
  const operation = OPERATIONS["add-virtual-server"];
  const failed = { name, contradicted: true, operation, errno: "EEXIST", text: "" } as const;
  queue.add(failed, 10_000);
  expect([queue.nextMs(), [...queue.due(10_000)]]).toEqual([10_000, [name]]);
  expect(reported).toEqual([]);
  queue.add(failed, 10_500);
  expect([queue.nextMs(), [...queue.due(12_499)]]).toEqual([12_500, []]);
  expect(queue.oldestMs()).toBe(10_000);
  queue.clear(server.key);
  queue.clear(server.key);
  expect(reported).toEqual([`failed ${server.key}`, `ended ${server.key}`]);
  expect([queue.size, queue.nextMs(), queue.oldestMs()]).toEqual([0, Number.POSITIVE_INFINITY, undefined]);
});
