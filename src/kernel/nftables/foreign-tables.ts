import { NetlinkError } from "../netlink/error.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { type BaseChain, decodeBaseChain, encodeListChains } from "./base-chain-codec.ts";

/** A table of nf_tables whose rules iptables does not show. */
export interface ForeignTable {
  /** Family and name, as `nft list table` takes them: "inet firewalld". */
  readonly name: string;
  /** The hooks at which its chains see packets, sorted, as "input" or "forward (policy drop)". */
  readonly hooks: readonly string[];
}

/**
 * Returns all base chains of this network namespace; none if the kernel has no nf_tables or this process may not read it.
 * Rejects with a KernelError if the kernel cannot be reached.
 */
export async function baseChains(socket: Pick<NetlinkSocket, "dump">): Promise<readonly BaseChain[]> {
  const messages = await socket.dump("list chains of nftables", encodeListChains).catch((error: unknown) => {
    if (error instanceof NetlinkError && ABSENT.has(error.code)) return [];
    throw error;
  });
  return messages.flatMap(({ payload }) => {
    const chain = decodeBaseChain(payload);
    return chain === undefined || chain === "other" ? [] : [chain];
  });
}

/** The answers of a kernel without nf_tables, and to a process without CAP_NET_ADMIN. */
const ABSENT: ReadonlySet<string> = new Set(["EOPNOTSUPP", "EPROTONOSUPPORT", "EINVAL", "ENOENT", "EPERM"]);

/** The tables of iptables-nft, whose rules `iptables-nft-save` prints. */
const OF_IPTABLES = /^ip6? (raw|mangle|nat|filter|security)$/;

/** Returns the tables that are not those of iptables-nft, sorted by name. */
export function foreignTables(chains: readonly BaseChain[]): readonly ForeignTable[] {
  const tables = new Map<string, Map<string, boolean>>();
  for (const { family, table, hook, drops } of chains) {
    const name = `${family} ${table}`;
    if (OF_IPTABLES.test(name)) continue;
    const hooks = tables.get(name) ?? new Map<string, boolean>();
    tables.set(name, hooks.set(hook, drops || hooks.get(hook) === true));
  }
  return [...tables]
    .map(([name, hooks]) => ({
      name,
      hooks: [...hooks].map(([hook, drops]) => (drops ? `${hook} (policy drop)` : hook)).sort(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
