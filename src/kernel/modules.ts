import type { SetupReport } from "./kernel.ts";
import type { RunProcess } from "./run-process.ts";

/**
 * What IPVS, its sets and our iptables rules are made of. The kernel loads most of them when they are first used, but not
 * ip_vs itself, and nothing where a security module forbids a container to make it load any. The SCTP module is not among
 * them: a node whose Services use SCTP forwards it without.
 */
export const KERNEL_MODULES: readonly string[] = [
  ...[
    "ip_vs",
    "ip_vs_rr",
    "ip_vs_wrr",
    "ip_vs_lc",
    "ip_vs_wlc",
    "ip_vs_sh",
    "ip_vs_dh",
    "ip_vs_mh",
    "ip_vs_sed",
    "ip_vs_nq",
  ],
  ...["nf_conntrack", "nf_conntrack_netlink", "nfnetlink", "dummy"],
  ...[
    "ip_set",
    "ip_set_hash_ip",
    "ip_set_hash_net",
    "ip_set_hash_ipport",
    "ip_set_hash_ipportip",
    "ip_set_hash_ipportnet",
  ],
  ...["ip_set_bitmap_port", "xt_set", "xt_mark", "xt_comment", "xt_addrtype", "xt_conntrack"],
  ...["xt_MASQUERADE", "ipt_REJECT", "ip6t_REJECT"],
];

/**
 * Loads the modules, at once; those that are loaded or built in are left as they are. A module that cannot be had is a
 * warning: what needs it will say so, and other kernels may have the same thing elsewhere.
 */
export async function loadModules(names: readonly string[], run: RunProcess): Promise<SetupReport> {
  const { code, stderr } = await run("modprobe", ["--all", ...names]);
  const warnings = stderr.split("\n").filter((line) => line.trim() !== "");
  if (code !== 0 && warnings.length === 0) warnings.push(`modprobe ended with ${code}`);
  return { changed: [], warnings };
}
