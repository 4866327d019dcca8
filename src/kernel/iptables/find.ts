import type { IPFamily } from "../../model/address.ts";
import type { RunProcess } from "../run-process.ts";

/** The two ways in which one node may hold its rules; they do not see each other, so all of a node must use the same. */
export type IptablesVariant = "legacy" | "nft";

/** The programs to use on this node. */
export interface IptablesTools {
  /** "iptables" or "iptables-nft"; with IPv6 "ip6tables" for "iptables". */
  readonly infix: "" | `-${IptablesVariant}`;
  readonly families: readonly IPFamily[];
  /** Families asked for whose program does not work, and what it said. */
  readonly unusable: ReadonlyMap<IPFamily, string>;
  readonly version: string;
  /** Whether `iptables-restore -w` and `MASQUERADE --random-fully` are known: from 1.6.2 on. */
  readonly modern: boolean;
}

/** Name of one of the programs, as "ip6tables-nft-restore". */
export function programName(infix: string, family: IPFamily, suffix: "" | "-save" | "-restore" = ""): string {
  return `${family === "IPv4" ? "iptables" : "ip6tables"}${infix}${suffix}`;
}

/** Chains of the kubelet in the table mangle, of which the first is there to be found by others. */
const HINT = /^:(KUBE-IPTABLES-HINT|KUBE-KUBELET-CANARY)\s/m;
/** RESOURCE_PROBLEM of xtables.h: "Another app is currently holding the xtables lock". */
const LOCK_TAKEN = 4;
const BOTH: readonly IPFamily[] = ["IPv4", "IPv6"];

/**
 * Finds which iptables this node uses, as the wrappers in kube-proxy's own image do: where the kubelet left its hint,
 * else where there are more rules. On an empty node the default program if it works, else whichever does.
 */
export async function findIptables(
  run: RunProcess,
  families: readonly IPFamily[],
  variant?: IptablesVariant,
): Promise<IptablesTools> {
  const chosen = variant ?? (await variantInUse(run));
  const candidates: readonly IptablesTools["infix"][] = chosen === undefined ? ["", "-nft", "-legacy"] : [`-${chosen}`];
  let best: IptablesTools | undefined;
  for (const infix of candidates) {
    const tools = await probe(run, infix, families);
    if (best === undefined || tools.families.length > best.families.length) best = tools;
    if (best.unusable.size === 0) break;
  }
  // There is a candidate in each of the lists above.
  return best ?? probe(run, "", families);
}

async function variantInUse(run: RunProcess): Promise<IptablesVariant | undefined> {
  const nft = await saved(run, "-nft");
  if (HINT.test(nft)) return "nft";
  // Without -t: to name a table makes legacy iptables create it.
  const legacy = await saved(run, "-legacy");
  if (HINT.test(legacy)) return "legacy";
  const difference = countRules(legacy) - countRules(nft);
  if (difference === 0) return undefined;
  return difference > 0 ? "legacy" : "nft";
}

/** All rules of both families; nothing of a family whose program does not work. */
async function saved(run: RunProcess, infix: string): Promise<string> {
  const results = await Promise.all(BOTH.map((family) => run(programName(infix, family, "-save"), [])));
  return results.map(({ code, stdout }) => (code === 0 ? stdout : "")).join("\n");
}

function countRules(text: string): number {
  return text.match(/^-A /gm)?.length ?? 0;
}

async function probe(
  run: RunProcess,
  infix: IptablesTools["infix"],
  families: readonly IPFamily[],
): Promise<IptablesTools> {
  const unusable = new Map<IPFamily, string>();
  // Without -w, so that it waits for nobody who holds the lock: to find that taken is as good as an answer.
  const tries = families.map(async (family) => {
    const program = programName(infix, family);
    const { code, stderr } = await run(program, ["-t", "nat", "-S", "POSTROUTING"]);
    if (code !== 0 && code !== LOCK_TAKEN) unusable.set(family, `${program}: ${stderr.trim()}`);
  });
  const [{ stdout }] = await Promise.all([run(programName(infix, "IPv4"), ["--version"]), ...tries]);
  const version = /v(\d+\.\d+(?:\.\d+)?)/.exec(stdout)?.[1] ?? "";
  return {
    infix,
    families: families.filter((family) => !unusable.has(family)),
    unusable,
    version,
    modern: isModern(version),
  };
}

function isModern(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return major * 1_000_000 + minor * 1_000 + patch >= 1_006_002;
}
