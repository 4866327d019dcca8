import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type BackendState, chooseBackend } from "../../../../src/kernel/iptables/backend.ts";
import type { IPFamily } from "../../../../src/model/address.ts";
import type { IptablesBackend } from "../../../../src/model/kernel/rules.ts";

const HINT = "*mangle\n:PREROUTING ACCEPT [0:0]\n:KUBE-IPTABLES-HINT - [0:0]\nCOMMIT\n";
const rules = (count: number) => `*filter\n:FORWARD ACCEPT [0:0]\n${"-A FORWARD -j ACCEPT\n".repeat(count)}COMMIT\n`;
const UNREAD = "unread";

function state(backend: IptablesBackend, v4: string, v6 = ""): BackendState {
  const families = { IPv4: v4, IPv6: v6 } satisfies Record<IPFamily, string>;
  const entries = (Object.entries(families) as [IPFamily, string][]).map(([family, text]) => [family, text] as const);
  return {
    backend,
    saved: new Map(entries.filter(([, text]) => text !== UNREAD)),
    unread: new Map(entries.filter(([, text]) => text === UNREAD)),
    isInstalled: true,
  };
}

interface Row {
  readonly title: string;
  readonly nft?: readonly [string, string?];
  readonly legacy?: readonly [string, string?];
  readonly inUse?: IptablesBackend;
  readonly chosen: IptablesBackend | undefined;
}

test.each<Row>([
  { title: "none on a node without rules", chosen: undefined },
  { title: "nft for a hint in nft of IPv4", nft: [HINT], legacy: [rules(9)], chosen: "nft" },
  { title: "nft for a hint in nft of IPv6 only", nft: ["", HINT], legacy: [rules(9)], chosen: "nft" },
  { title: "legacy for a hint in legacy of IPv4", nft: [rules(9)], legacy: [HINT], chosen: "legacy" },
  { title: "legacy for a hint in legacy of IPv6 only", nft: [rules(9)], legacy: ["", HINT], chosen: "legacy" },
  { title: "nft for a hint in both", nft: ["", HINT], legacy: [HINT], chosen: "nft" },
  { title: "nft for more rules in nft of both families", nft: [rules(2), rules(2)], legacy: [rules(3)], chosen: "nft" },
  { title: "legacy for more rules in legacy", nft: [rules(1)], legacy: [rules(1), rules(1)], chosen: "legacy" },
  { title: "none for as many rules in both", nft: [rules(2)], legacy: [rules(2)], chosen: undefined },
  { title: "the one in use although the other has more rules", legacy: [rules(9)], inUse: "nft", chosen: "nft" },
  { title: "the one in use on a node without rules", inUse: "legacy", chosen: "legacy" },
  {
    title: "nft, also if legacy is in use, for a hint in both",
    nft: [HINT],
    legacy: [HINT],
    inUse: "legacy",
    chosen: "nft",
  },
  { title: "legacy, also if nft is in use, for a hint in legacy only", legacy: [HINT], inUse: "nft", chosen: "legacy" },
  {
    title: "nft in use that cannot be read, for a hint in legacy",
    nft: [UNREAD],
    legacy: [HINT],
    inUse: "nft",
    chosen: "nft",
  },
  {
    title: "legacy for a hint there if nft cannot be read at the start",
    nft: [UNREAD],
    legacy: [HINT],
    chosen: "legacy",
  },
  {
    title: "legacy in use that cannot be read",
    nft: [rules(9)],
    legacy: [UNREAD, UNREAD],
    inUse: "legacy",
    chosen: "legacy",
  },
  { title: "none if nothing can be read", nft: [UNREAD, UNREAD], legacy: [UNREAD, UNREAD], chosen: undefined },
])("the iptables backend of the node is $title", ({ nft = [""], legacy = [""], inUse, chosen }) => {
  expect(chooseBackend(state("nft", ...nft), state("legacy", ...legacy), inUse)?.backend).toBe(chosen);
});

const anyText = fc.constantFrom("", HINT, rules(1), rules(5), UNREAD, HINT + rules(3));
const anyState = (backend: IptablesBackend) => fc.tuple(anyText, anyText).map(([v4, v6]) => state(backend, v4, v6));

test("a choice of the iptables backend is stable: the same tables never move the agent a second time", () => {
  const inUse = fc.constantFrom<IptablesBackend | undefined>("nft", "legacy", undefined);
  const isStable = (nft: BackendState, legacy: BackendState, before: IptablesBackend | undefined) => {
    const first = chooseBackend(nft, legacy, before)?.backend;
    expect(chooseBackend(nft, legacy, first)?.backend).toBe(first);
  };
  void fc.assert(fc.property(anyState("nft"), anyState("legacy"), inUse, isStable));
});

test("only a chain of the kubelet moves the agent to another iptables backend", () => {
  const inUse = fc.constantFrom<IptablesBackend>("nft", "legacy");
  const movesForHint = (nft: BackendState, legacy: BackendState, before: IptablesBackend) => {
    const choice = chooseBackend(nft, legacy, before);
    if (choice?.backend !== before) expect(choice?.reason).toContain("KUBE-IPTABLES-HINT");
  };
  void fc.assert(fc.property(anyState("nft"), anyState("legacy"), inUse, movesForHint));
});
