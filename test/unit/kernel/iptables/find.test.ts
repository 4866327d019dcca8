import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { findIptables, type IptablesTools } from "../../../../src/kernel/iptables/find.ts";
import { type RunProcess, runProcess } from "../../../../src/kernel/run-process.ts";
import type { IPFamily } from "../../../../src/model/address.ts";
import type { IptablesBackend } from "../../../../src/model/kernel/rules.ts";
import { FakeIptables } from "./fake-iptables.ts";

const hint = (chain: string) => (fake: FakeIptables, kind: string) => void fake.table(kind, "mangle").set(chain, []);
const rules = (count: number) => (fake: FakeIptables, kind: string) =>
  void fake.table(kind, "filter").set(
    "OTHERS",
    Array.from({ length: count }, () => "-j DROP"),
  );
const none = () => {};

async function find(
  fake: Pick<FakeIptables, "run" | "hasLegacyTables">,
  families: readonly IPFamily[],
  required?: IptablesBackend,
): Promise<IptablesTools> {
  return (await findIptables({ ...fake, required }, families)).tools;
}

test.each([
  ["nft where the kubelet left its hint there", hint("KUBE-IPTABLES-HINT"), rules(9), "-nft"],
  ["legacy where the kubelet left its hint there", rules(9), hint("KUBE-IPTABLES-HINT"), "-legacy"],
  ["legacy where an older kubelet left its canary there", rules(9), hint("KUBE-KUBELET-CANARY"), "-legacy"],
  ["nft where both have a hint", hint("KUBE-IPTABLES-HINT"), hint("KUBE-IPTABLES-HINT"), "-nft"],
  ["what has more rules, without a hint: legacy", rules(1), rules(2), "-legacy"],
  ["what has more rules, without a hint: nft", rules(2), rules(1), "-nft"],
  ["the default on an empty node", none, none, ""],
  ["the default where a chain is only named like a hint", hint("MY-KUBE-IPTABLES-HINT"), none, ""],
] as const)("the node uses %s", async (_, nft, legacy, infix) => {
  for (const program of ["iptables", "ip6tables"]) {
    const fake = new FakeIptables();
    nft(fake, `${program}-nft`);
    legacy(fake, `${program}-legacy`);
    expect((await find(fake, ["IPv4", "IPv6"])).infix).toBe(infix);
  }
});

test("the configured iptables is used on any node", async () => {
  const fake = new FakeIptables();
  hint("KUBE-IPTABLES-HINT")(fake, "iptables-nft");
  expect((await find(fake, ["IPv4"], "legacy")).infix).toBe("-legacy");
});

test("if the default iptables works, the tables of the other variant are not read, as legacy would create them", async () => {
  const fake = new FakeIptables();
  await find(fake, ["IPv4", "IPv6"]);
  expect(fake.ran.filter((line) => line.includes("-t nat"))).toEqual([
    "iptables -t nat -S POSTROUTING",
    "ip6tables -t nat -S POSTROUTING",
  ]);
});

test("on an empty node whose default iptables does not work, a working one is used", async () => {
  const fake = new FakeIptables();
  for (const program of ["iptables", "ip6tables", "iptables-nft", "ip6tables-nft"]) fake.working.delete(program);
  expect(await find(fake, ["IPv4", "IPv6"])).toMatchObject({
    infix: "-legacy",
    families: ["IPv4", "IPv6"],
  });
});

test("the iptables that works for more families is used", async () => {
  const fake = new FakeIptables();
  fake.working.delete("ip6tables");
  expect(await find(fake, ["IPv4", "IPv6"])).toMatchObject({ infix: "-nft" });
});

test("a program that finds the lock taken counts as working, without waiting for the lock", async () => {
  const fake = new FakeIptables();
  const run: RunProcess = async (file, args, input) =>
    args.includes("nat") && !args.includes("-w")
      ? { code: 4, stdout: "", stderr: "Another app is currently holding the xtables lock" }
      : fake.run(file, args, input);
  const tools = await find({ run, hasLegacyTables: async () => true }, ["IPv4", "IPv6"]);
  expect([tools.infix, tools.families, tools.unusable.size]).toEqual(["", ["IPv4", "IPv6"], 0]);
});

test.each([
  ["Fatal: can't open lock file /run/xtables.lock: Read-only file system", "mount /run/xtables.lock of the host"],
  ["Could not fetch rule set generation id: Permission denied (you must be root)", "NET_ADMIN and NET_RAW"],
])("a program that ends as if the lock were taken, with another cause, does not work: %s", async (stderr, cure) => {
  const fake = new FakeIptables();
  const run: RunProcess = async (file, args, input) =>
    args.includes("nat") && !file.includes("legacy") ? { code: 4, stdout: "", stderr } : fake.run(file, args, input);
  expect(await find({ run, hasLegacyTables: async () => true }, ["IPv4", "IPv6"])).toMatchObject({ infix: "-legacy" });
  const { unusable } = await find({ run, hasLegacyTables: async () => true }, ["IPv6"], "nft");
  expect(unusable.get("IPv6")).toMatch(`ip6tables-nft: ${stderr} (`);
  expect(unusable.get("IPv6")).toContain(cure);
});

test("iptables programs that all hang are waited for together", async () => {
  const waiting: (() => void)[] = [];
  const run: RunProcess = () =>
    new Promise((resolve) => waiting.push(() => resolve({ code: 124, stdout: "", stderr: "it was killed" })));
  const found = find({ run, hasLegacyTables: async () => true }, ["IPv4", "IPv6"]);
  let rounds = 0;
  for (; await isPending(found); rounds++) for (const end of waiting.splice(0)) end();
  // Two that print all rules, and each of three that may be used.
  expect(rounds).toBeLessThanOrEqual(5);
  expect((await found).families).toEqual([]);
});

const isPending = async (promise: Promise<unknown>): Promise<boolean> => {
  const pending = Symbol("pending");
  await setImmediate();
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
};

test("families without a working program are reported with the error of iptables", async () => {
  const fake = new FakeIptables();
  for (const program of fake.working) if (program.startsWith("ip6")) fake.working.delete(program);
  const tools = await find(fake, ["IPv4", "IPv6"]);
  expect(tools.families).toEqual(["IPv4"]);
  expect([...tools.unusable]).toEqual([["IPv6", "ip6tables: ip6tables: not found"]]);
});

test.each([
  ["1.4.21", false],
  ["1.6.1", false],
  ["1.6.2", true],
  ["1.8.9", true],
  ["1.10", true],
])("iptables %s can wait in restore and choose ports at random: %s", async (version, modern) => {
  const fake = new FakeIptables();
  fake.version = version;
  expect(await find(fake, ["IPv4"])).toMatchObject({ modern });
});

test.each([
  ["what it was given and its answer", "cat", [], { code: 0, stdout: "input\n", stderr: "" }],
  ["the exit code and its stderr", "sh", ["-c", "echo bad >&2; exit 3"], { code: 3, stdout: "", stderr: "bad\n" }],
  ["127 for one that is not there", "/no/such/program", [], { code: 127, stdout: "" }],
])("the failure of a process is described by %s", async (_, file, args, result) => {
  expect(await runProcess(file, args, "input\n")).toMatchObject(result);
});
