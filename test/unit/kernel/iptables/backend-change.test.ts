import { expect, test } from "vitest";
import type { NodeSetup, RulesReport } from "../../../../src/kernel/kernel.ts";
import type { NetlinkKernel } from "../../../../src/kernel/netlink-kernel.ts";
import type { RuleTable } from "../../../../src/model/kernel/rules.ts";
import { FakeNode } from "../fake-node.ts";

const NAT: RuleTable = {
  name: "nat",
  chains: [
    { name: "KUBE-SERVICES", rules: ["-j KUBE-MARK-MASQ"] },
    { name: "KUBE-MARK-MASQ", rules: ["-j MARK --set-xmark 0x4000/0x4000"] },
  ],
  jumps: [{ from: "OUTPUT", rule: "-j KUBE-SERVICES" }],
};
const CHAINS = { nat: ["KUBE-SERVICES", "KUBE-MARK-MASQ"] };
const SETUP: NodeSetup = { families: ["IPv4"], rules: { IPv4: { tables: [NAT] } }, sysctls: [] };
/** Each 20th call reads both backends. */
const CALLS = 20;
const OURS = ["KUBE-SERVICES", "KUBE-MARK-MASQ"];

function nodeWithHint(backend: "legacy" | "nft") {
  const node = new FakeNode();
  const { iptables } = node;
  const hint = (of: string) => iptables.table(`iptables-${of}`, "mangle").set("KUBE-IPTABLES-HINT", []);
  const ours = (of: string) => OURS.filter((name) => iptables.table(`iptables-${of}`, "nat").has(name));
  hint(backend);
  return { node, iptables, hint, ours };
}

/** Calls until both backends were read again; returns the last report. */
async function resync(kernel: NetlinkKernel): Promise<RulesReport> {
  let report = await kernel.writeRules(SETUP);
  for (let call = 1; call < CALLS; call++) report = await kernel.writeRules(SETUP);
  return report;
}

test("rules follow the kubelet to another iptables backend: they are written there before they are removed from the old one", async () => {
  const { node, iptables, hint, ours } = nodeWithHint("legacy");
  const kernel = node.kernel(CHAINS);
  expect((await kernel.writeRules(SETUP)).backends).toMatchObject({ used: "legacy", warnings: [] });
  hint("nft");
  iptables.ran.length = 0;
  const { changed, failures, backends } = await resync(kernel);
  expect(changed).toEqual([
    'wrote table "nat" of IPv4',
    'removed the chains of kube-ipvs from legacy table "nat" of IPv4',
  ]);
  expect([failures, backends?.used, backends?.warnings]).toEqual([[], "nft", []]);
  expect([ours("legacy"), ours("nft")]).toEqual([[], OURS]);
  expect(iptables.table("iptables-legacy", "nat").get("OUTPUT")).toEqual([]);
  expect(iptables.ran.filter((line) => line.includes("-restore"))).toEqual([
    "iptables-nft-restore --noflush -w 5",
    "iptables-legacy-restore --noflush -w 5",
  ]);
  await kernel.close();
});

test("an agent that died between the two steps of a change of the iptables backend ends it after its restart", async () => {
  const { node, hint, ours } = nodeWithHint("legacy");
  const before = node.kernel(CHAINS);
  await before.writeRules(SETUP);
  hint("nft");
  const restarted = node.kernel(CHAINS);
  await restarted.writeRules(SETUP);
  expect([ours("legacy"), ours("nft")]).toEqual([[], OURS]);
  await Promise.all([before.close(), restarted.close()]);
});

test("old rules that cannot be removed are a warning, and the next resync removes them", async () => {
  const { node, iptables, hint, ours } = nodeWithHint("legacy");
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  hint("nft");
  iptables.failing.set("iptables-legacy-restore", "the lock is taken");
  const refused = await resync(kernel);
  expect(refused).toMatchObject({ failures: [], backends: { used: "nft" } });
  expect(refused.backends?.warnings).toEqual([expect.stringContaining("the lock is taken")]);
  iptables.failing.clear();
  expect((await kernel.writeRules(SETUP)).backends?.warnings).toEqual([]);
  expect([ours("legacy"), ours("nft")]).toEqual([[], OURS]);
  await kernel.close();
});

test("old rules stay as long as the new iptables backend refuses them", async () => {
  const { node, iptables, hint, ours } = nodeWithHint("legacy");
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  hint("nft");
  iptables.failing.set("iptables-nft-restore", "TABLE_ADD failed (Operation not supported): table nat");
  for (let attempt = 0; attempt < 2; attempt++) {
    const { failures } = await resync(kernel);
    expect(failures.map(({ message }) => message)).toEqual([expect.stringContaining("Operation not supported")]);
    expect(ours("legacy")).toEqual(OURS);
  }
  iptables.failing.clear();
  await kernel.writeRules(SETUP);
  expect([ours("legacy"), ours("nft")]).toEqual([[], OURS]);
  await kernel.close();
});

test("the iptables backend is kept if no program works for the one of the kubelet, with a warning", async () => {
  const { node, iptables, hint, ours } = nodeWithHint("legacy");
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  hint("nft");
  for (const program of ["iptables", "iptables-nft"]) iptables.failing.set(program, "unknown option");
  const { failures, backends } = await resync(kernel);
  expect([failures, backends?.used]).toEqual([[], "legacy"]);
  expect(backends?.warnings).toEqual([
    "iptables: this node uses nft, kube-ipvs stays with legacy: iptables-nft: unknown option",
  ]);
  expect(ours("legacy")).toEqual(OURS);
  await kernel.close();
});

test("a chain of the old iptables backend that another program uses stays as it is", async () => {
  const { node, iptables, hint, ours } = nodeWithHint("legacy");
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  const nat = iptables.table("iptables-legacy", "nat").set("CNI-HOSTPORT-SETMARK", ["-j KUBE-MARK-MASQ"]);
  hint("nft");
  await resync(kernel);
  expect(ours("legacy")).toEqual(["KUBE-MARK-MASQ"]);
  expect(nat.get("KUBE-MARK-MASQ")).toEqual(["-j MARK --set-xmark 0x4000/0x4000"]);
  await kernel.close();
});

test("rules of other programs in the other iptables backend are a warning with their chains until they are gone", async () => {
  const { node, iptables } = nodeWithHint("nft");
  const kernel = node.kernel(CHAINS);
  expect((await kernel.writeRules(SETUP)).backends?.warnings).toEqual([]);
  const nat = iptables.table("iptables-legacy", "nat").set("DOCKER", ["-j RETURN"]);
  const { failures, backends } = await resync(kernel);
  expect([failures, backends?.otherRules]).toEqual([[], new Map([["IPv4", 1]])]);
  expect(backends?.warnings).toEqual([
    'iptables-legacy has rules of other programs besides those in nft, which kube-ipvs uses: chains "DOCKER". The kernel applies both: let all programs of this node use one backend',
  ]);
  nat.delete("DOCKER");
  expect((await resync(kernel)).backends?.warnings).toEqual([]);
  await kernel.close();
});

test.each([
  [
    "that fails, with what it prints",
    (node: FakeNode) => node.iptables.failing.set("iptables-nft-save", "it hangs"),
    1,
  ],
  ["that is not installed, without a warning", (node: FakeNode) => node.iptables.working.delete("iptables-nft"), 0],
  ["on a kernel without nf_tables, without a warning", (node: FakeNode) => (node.iptables.hasNfTables = false), 0],
])("an agent in legacy goes on beside an iptables-nft-save %s", async (_, spoil, warnings) => {
  const { node, ours } = nodeWithHint("legacy");
  spoil(node);
  const kernel = node.kernel(CHAINS);
  const { failures, backends } = await kernel.writeRules(SETUP);
  expect([failures, backends?.used, ours("legacy")]).toEqual([[], "legacy", OURS]);
  expect(backends?.warnings.length).toBe(warnings);
  await kernel.close();
});

test("tables of legacy that no program can read are a warning", async () => {
  const { node, iptables } = nodeWithHint("nft");
  iptables.table("iptables-legacy", "nat");
  iptables.working.delete("iptables-legacy");
  const kernel = node.kernel(CHAINS);
  expect((await kernel.writeRules(SETUP)).backends?.warnings).toEqual([
    "Cannot read the rules of iptables-legacy, which the kernel applies besides those of kube-ipvs: iptables-legacy-save: not found",
  ]);
  await kernel.close();
});

test("a resync that reads both iptables backends starts no more programs than another on a node without legacy tables", async () => {
  const { node, iptables } = nodeWithHint("nft");
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  // This call waits until the written rules are read again.
  await kernel.writeRules(SETUP);
  iptables.ran.length = 0;
  await resync(kernel);
  expect(iptables.ran).toEqual(Array(CALLS).fill("iptables-nft-save"));
  await kernel.close();
});

test("iptables 1.6.2, which has one backend and no other programs, is used as it is", async () => {
  const node = new FakeNode();
  const { iptables } = node;
  Object.assign(iptables, { version: "1.6.2", default: "legacy" });
  for (const name of iptables.working) if (name.includes("-")) iptables.working.delete(name);
  const kernel = node.kernel(CHAINS);
  const first = await kernel.writeRules(SETUP);
  expect(first).toMatchObject({ changed: ['wrote table "nat" of IPv4'], failures: [], backends: { used: "legacy" } });
  expect(await resync(kernel)).toMatchObject({ changed: [], failures: [], backends: { used: "legacy" } });
  expect(iptables.ran.filter((line) => line.includes("restore"))).toEqual(["iptables-restore --noflush -w 5"]);
  await kernel.close();
});

test("without the name of the backend of the default programs no rules are removed and no warning is given", async () => {
  const { node, iptables } = nodeWithHint("nft");
  iptables.table("iptables-nft", "mangle").delete("KUBE-IPTABLES-HINT");
  iptables.namesBackend = false;
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  const report = await resync(kernel);
  expect([report.changed, report.failures, report.backends]).toEqual([[], [], undefined]);
  expect(iptables.table("iptables", "nat").has("KUBE-SERVICES")).toBe(true);
  await kernel.close();
});

test("cleanup removes the chains of kube-ipvs from both iptables backends", async () => {
  const { node, hint, ours } = nodeWithHint("legacy");
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  hint("nft");
  const { changed } = await node.kernel(CHAINS).remove(["IPv4"]);
  expect(changed.map(({ text }) => text)).toContain('removed the chains of kube-ipvs from legacy table "nat" of IPv4');
  expect(ours("legacy")).toEqual([]);
  await kernel.close();
});

test("diff shows rules of kube-ipvs in the other iptables backend", async () => {
  const { node, hint } = nodeWithHint("legacy");
  const kernel = node.kernel(CHAINS);
  await kernel.writeRules(SETUP);
  hint("nft");
  expect((await kernel.inspect(SETUP)).changed).toContainEqual({
    object: "rules",
    text: 'rules of kube-ipvs are also in legacy table "nat" of IPv4',
  });
  await kernel.close();
});
