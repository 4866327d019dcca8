import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { leftTables } from "../../../../src/kernel/iptables/leftovers.ts";
import { FAMILIES } from "../../../../src/model/address.ts";
import { PROXY_CHAINS } from "../../../../src/node/rules/proxy-rules.ts";

const RECORDED = join(import.meta.dirname, "../../../fixtures/kube-proxy");
const read = (mode: string, file: string) => readFileSync(join(RECORDED, mode, file), "utf8");
const FILES = { IPv4: "iptables-save.txt", IPv6: "ip6tables-save.txt" } as const;

/** The names after a word such as ":" or "-X " in the input of iptables-restore. */
function named(text: string, word: string): readonly string[] {
  return [...text.matchAll(new RegExp(`^${word}(\\S+)`, "gm"))].map(([, name = ""]) => name).toSorted();
}

const input = (saved: string) =>
  leftTables(saved, PROXY_CHAINS)
    .map(({ text }) => text)
    .join("");

test.each(FAMILIES)(
  "all chains of kube-proxy's iptables mode in %s are removed, and none that others share",
  (family) => {
    const saved = read("iptables", FILES[family]);
    const chains = named(saved, ":").filter((name) => name.startsWith("KUBE-"));
    // A chain of the same name may be in several tables.
    const shared = ["KUBE-FIREWALL", "KUBE-FORWARD", "KUBE-MARK-MASQ", "KUBE-POSTROUTING", "KUBE-PROXY-FIREWALL"];
    const services = chains.indexOf("KUBE-SERVICES");
    const gone = chains.filter((name, index) => !shared.includes(name) && index !== services);
    expect(named(input(saved), "-X ")).toEqual(gone);
    expect(named(input(saved), ":")).toEqual(gone);
    // Those of the table nat belong to the agent now.
    expect(leftTables(saved, PROXY_CHAINS).find(({ table }) => table === "nat")?.text).not.toContain("KUBE-SERVICES");
  },
);

test("the jumps of the iptables mode are removed, also those into chains of both modes, and no jump of ours", () => {
  const text = input(read("iptables", FILES.IPv4));
  const deleted = text.match(/^-D .*/gm) ?? [];
  expect(deleted.map((line) => line.replace(/ -m .* -j/, " -j")).toSorted()).toEqual([
    "-D FORWARD -j KUBE-EXTERNAL-SERVICES",
    "-D FORWARD -j KUBE-PROXY-FIREWALL",
    "-D FORWARD -j KUBE-SERVICES",
    "-D INPUT -j KUBE-EXTERNAL-SERVICES",
    "-D INPUT -j KUBE-NODEPORTS",
    "-D INPUT -j KUBE-PROXY-FIREWALL",
    "-D OUTPUT -j KUBE-PROXY-FIREWALL",
    "-D OUTPUT -j KUBE-SERVICES",
  ]);
  for (const line of deleted.filter((rule) => rule.endsWith("KUBE-PROXY-FIREWALL")))
    expect(line).toContain("--ctstate NEW");
});

test.each(FAMILIES)("nothing of the IPVS mode and of the kubelet in %s is left from another mode", (family) => {
  expect(leftTables(read("ipvs", FILES[family]), PROXY_CHAINS)).toEqual([]);
  const kubelet = [
    "*mangle",
    ":KUBE-IPTABLES-HINT - [0:0]",
    ":KUBE-KUBELET-CANARY - [0:0]",
    "COMMIT",
    "*filter",
    ":KUBE-FIREWALL - [0:0]",
    "-A INPUT -j KUBE-FIREWALL",
    "COMMIT",
  ];
  expect(leftTables(kubelet.join("\n"), PROXY_CHAINS)).toEqual([]);
});

test("a chain into which a rule of another program leads is only emptied", () => {
  const saved = [
    "*nat",
    ":OTHERS - [0:0]",
    ":KUBE-NODEPORTS - [0:0]",
    "-A OTHERS -j KUBE-NODEPORTS",
    "-A KUBE-NODEPORTS -j ACCEPT",
    "COMMIT",
  ];
  expect(leftTables(saved.join("\n"), PROXY_CHAINS)).toEqual([
    { table: "nat", text: "*nat\n:KUBE-NODEPORTS - [0:0]\nCOMMIT\n" },
  ]);
  expect(leftTables(saved.toSpliced(4, 1).join("\n"), PROXY_CHAINS)).toEqual([]);
});
