import { AttributeReader, type AttributeWriter } from "../netlink/attributes.ts";
import { beginNetfilterMessage, endMessage, NETFILTER_HEADER_BYTES, NLM_F_DUMP } from "../netlink/message.ts";

/** linux/netfilter/nfnetlink.h and nf_tables.h. */
const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_GETCHAIN = 4;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_HOOK_HOOKNUM = 1;
const NF_DROP = 0;

/** The families of tables, as `nft` writes them, by their NFPROTO_ numbers. */
const FAMILIES: ReadonlyMap<number, string> = new Map([
  [1, "inet"],
  [2, "ip"],
  [3, "arp"],
  [5, "netdev"],
  [7, "bridge"],
  [10, "ip6"],
]);
/** The names of NF_INET_ hooks, by their numbers. */
const HOOKS: readonly string[] = ["prerouting", "input", "forward", "output", "postrouting", "ingress"];

/** A chain of nf_tables that packets pass: it has a hook. */
export interface BaseChain {
  /** As `nft list table` takes it: "inet", "ip", "ip6". */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook: string;
  /** Whether packets that no rule accepts are dropped. */
  readonly drops: boolean;
}

/** Encodes the request for all chains of all families. */
export function encodeListChains(writer: AttributeWriter): void {
  endMessage(writer, beginNetfilterMessage(writer, NFNL_SUBSYS_NFTABLES, NLM_F_DUMP, NFT_MSG_GETCHAIN, 0));
}

/** Reads one chain; "other" if it has no hook, undefined if it is malformed. */
export function decodeBaseChain(payload: Uint8Array): BaseChain | "other" | undefined {
  const family = FAMILIES.get(payload[0] ?? 0) ?? `family ${payload[0]}`;
  const reader = new AttributeReader(payload.subarray(NETFILTER_HEADER_BYTES));
  let chain = { family, table: "", name: "", hook: "", drops: false };
  while (reader.next()) {
    if (reader.type === NFTA_CHAIN_TABLE) chain = { ...chain, table: reader.string() };
    if (reader.type === NFTA_CHAIN_NAME) chain = { ...chain, name: reader.string() };
    if (reader.type === NFTA_CHAIN_HOOK) chain = { ...chain, hook: decodeHook(reader.nested()) };
    if (reader.type === NFTA_CHAIN_POLICY) chain = { ...chain, drops: reader.be32() === NF_DROP };
  }
  if (reader.failed || chain.table === "") return undefined;
  return chain.hook === "" ? "other" : chain;
}

function decodeHook(reader: AttributeReader): string {
  let hook = "";
  while (reader.next())
    if (reader.type === NFTA_HOOK_HOOKNUM) {
      const number = reader.be32();
      hook = HOOKS[number] ?? `hook ${number}`;
    }
  return hook;
}
