import { readdir, readFile } from "node:fs/promises";
import { release } from "node:os";
import type { Scheduler } from "../model/kernel/ipvs.ts";
import type { StepReport } from "./kernel.ts";
import type { RunProcess } from "./run-process.ts";

/**
 * The kernel modules of IPVS, its sets and the iptables rules. The kernel loads most of them at their first use, but
 * not ip_vs itself, and none if a security module forbids a container to trigger loading. The SCTP module is not in the
 * list: a node whose Services use SCTP forwards it without that module.
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
 * Loads the modules with one modprobe; loaded and built-in modules stay as they are. A module that cannot be loaded is
 * a warning: a later step reports the missing feature, and other kernels may have the feature in another module.
 */
export async function loadModules(names: readonly string[], run: RunProcess): Promise<StepReport> {
  const { code, stderr } = await run("modprobe", ["--all", ...names]);
  const warnings = stderr.split("\n").filter((line) => line.trim() !== "");
  if (code !== 0 && warnings.length === 0) warnings.push(`modprobe ended with exit code ${code}`);
  return { changed: [], warnings };
}

/**
 * Returns the schedulers of which this kernel has no module: it is neither loaded, nor built in, nor among those that can
 * be loaded. Without /lib/modules a module that is not loaded counts as missing. `root` is the root of the file system.
 */
export async function missingSchedulers(schedulers: readonly Scheduler[], root = ""): Promise<readonly Scheduler[]> {
  if (schedulers.length === 0) return [];
  const { names } = await presentModules(root);
  return schedulers.filter((scheduler) => !names.has(`ip_vs_${scheduler}`));
}

/**
 * Returns the modules that this kernel has in no form, without the schedulers; none if the files of the modules cannot be
 * read, as in a container that does not mount them. `root` as above.
 */
export async function missingModules(root = ""): Promise<readonly string[]> {
  const { names, hasFiles } = await presentModules(root);
  return hasFiles ? KERNEL_MODULES.filter((name) => !name.startsWith("ip_vs_") && !names.has(name)) : [];
}

/** The modules that are loaded, built in or installed. */
async function presentModules(
  root: string,
): Promise<{ readonly names: ReadonlySet<string>; readonly hasFiles: boolean }> {
  const modules = `${root}/lib/modules/${release()}`;
  const files = [`${modules}/modules.dep`, `${modules}/modules.builtin`, `${root}/proc/modules`];
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8").catch(() => "")));
  // A module that is built in may be here alone: a container may not mount the files of the modules.
  const running = await readdir(`${root}/sys/module`).catch(() => []);
  const found = [...texts, ...running].join("\n").matchAll(/^(?:\S*\/)?([\w-]+)(?=[\s.]|$)/gm);
  return { names: new Set([...found].map(([, name = ""]) => name.replaceAll("-", "_"))), hasFiles: texts[0] !== "" };
}
