import type { TestNode } from "../node/netns.ts";

/** Empties all tables of the node, also of other programs. */
export async function flushTables(node: TestNode): Promise<void> {
  const tables = ["raw", "mangle", "nat", "filter"].map((name) => `*${name}\nCOMMIT`);
  await restoreTables(node, "", tables);
}

/** Feeds the texts of tables to both programs, which wait for the lock that the agent of this node takes. */
export async function restoreTables(
  node: TestNode,
  option: "" | "--noflush",
  tables: readonly string[],
): Promise<void> {
  const text = `${tables.join("\n")}\n`;
  for (const program of ["iptables-restore", "ip6tables-restore"])
    await node.prints(`XTABLES_LOCKFILE=/run/xtables-${node.name}.lock ${program} -w 5 ${option} <<'END'\n${text}END`);
}
