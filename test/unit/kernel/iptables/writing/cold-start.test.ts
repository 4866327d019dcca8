import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { IptablesClient } from "../../../../../src/kernel/iptables/client.ts";
import type { RunProcess } from "../../../../../src/kernel/run-process.ts";
import { FAMILIES } from "../../../../../src/model/address.ts";
import { FakeIptables, RULES } from "../fake-iptables.ts";

type Backend = "nft" | "legacy";

/** The chains that the kubelet has in these tables of both families, and rules of another program. */
function node(backend: Backend, tables: readonly string[], others = 0): FakeIptables {
  const fake = new FakeIptables();
  for (const program of ["iptables", "ip6tables"]) {
    for (const name of tables) fake.table(`${program}-${backend}`, name).set("KUBE-KUBELET-CANARY", []);
    if (others > 0) fake.table(`${program}-${backend}`, "filter").set("CNI", Array(others).fill("-j ACCEPT"));
  }
  return fake;
}

/** The programs of a start that run side by side, step by step: before the report of the rules, and after it. */
async function steps(fake: FakeIptables): Promise<readonly [before: readonly string[], after: readonly string[]]> {
  const waiting: { readonly name: string; readonly end: () => void }[] = [];
  const run: RunProcess = (file, args, input) =>
    new Promise((resolve) => {
      const name = [file.replaceAll("tables", ""), ...args.filter((arg) => arg === "-S" || arg === "--version")].join(
        " ",
      );
      waiting.push({ name, end: () => resolve(fake.run(file, args, input)) });
    });
  const client = new IptablesClient({ run, hasLegacyTables: fake.hasLegacyTables });
  let isReported = false;
  const start = async () => {
    await client.find(FAMILIES);
    expect((await client.apply(RULES)).failures).toEqual([]);
    isReported = true;
  };
  const started = start();
  const [before, after]: [string[], string[]] = [[], []];
  for (;;) {
    for (let turn = 0; turn < 5; turn++) await setImmediate();
    const programs = waiting.splice(0);
    if (programs.length === 0) break;
    const step = programs.map(({ name }) => name).join(", ");
    (isReported ? after : before).push(step);
    for (const { end } of programs) end();
  }
  await started;
  return [before, after];
}

const KUBELET = ["mangle", "nat", "filter"];
const NFT = "ip-nft-save, ip6-nft-save";

test.each<[string, FakeIptables, readonly string[], readonly string[]]>([
  ["nft with the chains of the kubelet", node("nft", KUBELET), [NFT, "ip-nft-restore, ip6-nft-restore"], [NFT]],
  ["nft with 10,000 rules of a CNI", node("nft", KUBELET, 10_000), [NFT, "ip-nft-restore, ip6-nft-restore"], [NFT]],
  [
    "legacy, whose programs share a lock",
    node("legacy", KUBELET),
    [`${NFT}, ip-legacy-save, ip6-legacy-save`, "ip-legacy-restore", "ip6-legacy-restore"],
    ["ip-legacy-save, ip6-legacy-save"],
  ],
  [
    "nft without the table nat, which its kernel may not have",
    node("nft", ["mangle"]),
    [NFT, "ip-nft -S, ip6-nft -S", "ip-nft-restore, ip6-nft-restore"],
    [NFT],
  ],
  [
    "no rules, where the default programs are used",
    new FakeIptables(),
    [NFT, "ip -S, ip6 -S, ip --version", "ip-restore, ip6-restore"],
    ["ip-save, ip6-save"],
  ],
])("the programs of a cold start on a node with %s", async (_, fake, before, after) => {
  expect(await steps(fake)).toEqual([before, after]);
});

test.each<Backend>(["nft", "legacy"])(
  "an agent that starts again with its rules of %s in place only reads",
  async (backend) => {
    const fake = node(backend, KUBELET);
    await steps(fake);
    const [before, after] = await steps(fake);
    expect([before.length, before[0]?.includes(`ip6-${backend}-save`), after]).toEqual([1, true, []]);
  },
);
