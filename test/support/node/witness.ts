import type { Shell } from "./shell.ts";

interface Interface {
  readonly ifname: string;
  readonly addr_info: readonly { readonly local?: string; readonly scope?: string }[];
}

/**
 * What ipvsadm, ip and ipset say that the kernel holds, in the words of scenarios and in no order: `-A …` and `-a …`,
 * `address IP` for kube-ipvs0, `route IP` for a VIP that is bound by a route, `entry SET MEMBER` for sets of ours.
 */
export async function heldLines(shell: Shell): Promise<readonly string[]> {
  const routes = "ip -o route show table local proto 173; ip -o -6 route show table local proto 173";
  const text = await shell.run(`ipvsadm -Sn; echo ==; ip -j address; echo ==; ipset save; echo ==; ${routes}`);
  const [servers = "", interfaces = "", sets = "", bound = ""] = text.split("==\n");
  const parsed = JSON.parse(interfaces) as readonly Interface[]; // as iproute2 prints it
  const dummy = parsed.find(({ ifname }) => ifname === "kube-ipvs0");
  const addresses = (dummy?.addr_info ?? []).filter(({ scope }) => scope !== "link").map(({ local }) => local);
  return [
    ...linesOf(servers),
    ...addresses.map((address) => `address ${address}`),
    ...linesOf(bound).map((line) => `route ${/^local (\S+) dev lo /.exec(line)?.[1] ?? line}`),
    ...linesOf(sets).flatMap((line) => (line.startsWith("add KUBE-") ? [line.replace("add", "entry")] : [])),
  ];
}

/** Rules of KUBE- chains and jumps into them, as iptables-save prints them, sorted. */
export async function heldRules(shell: Shell, family: "IPv4" | "IPv6"): Promise<readonly string[]> {
  const save = family === "IPv4" ? "iptables-save" : "ip6tables-save";
  return linesOf(await shell.run(save))
    .filter((line) => /^-A .*KUBE-/.test(line))
    .toSorted();
}

/** The rules of the text of `kube-ipvs plan` in the same words. */
export function plannedRules(text: string, family: "IPv4" | "IPv6"): readonly string[] {
  const [, section = ""] = text.split(`# rules of ${family} `);
  const [rules = ""] = section.split("\n# ");
  return linesOf(rules)
    .filter((line) => /^-[AI] /.test(line))
    .map((line) => line.replace(/^-I/, "-A"))
    .toSorted();
}

/** The text of `kube-ipvs plan` in the same words. */
export function plannedLines(text: string): readonly string[] {
  const [objects = ""] = text.split("# rules of");
  return linesOf(objects).flatMap((line) => {
    if (/^-[Aa] /.test(line)) return [line];
    const [, address] = /^address add (\S+)\/\d+ dev kube-ipvs0$/.exec(line) ?? [];
    if (address !== undefined) return [`address ${address}`];
    const [, routed] = /^route add local (\S+)\/\d+ dev lo table local proto 173 metric 173$/.exec(line) ?? [];
    if (routed !== undefined) return [`route ${routed}`];
    return line.startsWith("add ") ? [line.replace("add", "entry")] : [];
  });
}

function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}
