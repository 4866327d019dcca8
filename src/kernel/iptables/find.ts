import type { IPFamily } from "../../model/address.ts";
import type { ProcessResult, RunProcess } from "../run-process.ts";
import { withCure } from "./cure.ts";

/**
 * The two implementations of iptables. Neither shows the rules of the other, so all programs of a node must use the
 * same.
 */
export type IptablesVariant = "legacy" | "nft";

/** The iptables programs to use on this node. */
export interface IptablesTools {
  /** The middle of the program name, as in "iptables-nft"; for IPv6 the name begins with "ip6tables". */
  readonly infix: "" | `-${IptablesVariant}`;
  readonly families: readonly IPFamily[];
  /** Families whose program does not work, with its error output. */
  readonly unusable: ReadonlyMap<IPFamily, string>;
  readonly version: string;
  /** Whether `iptables-restore -w` and `MASQUERADE --random-fully` are supported: since 1.6.2. */
  readonly modern: boolean;
}

/** Returns the name of a program, as "ip6tables-nft-restore". */
export function programName(infix: string, family: IPFamily, suffix: "" | "-save" | "-restore" = ""): string {
  return `${family === "IPv4" ? "iptables" : "ip6tables"}${infix}${suffix}`;
}

/** Chains that the kubelet creates in the table mangle; other programs detect the variant by the first. */
const HINT = /^:(KUBE-IPTABLES-HINT|KUBE-KUBELET-CANARY)\s/m;
/** RESOURCE_PROBLEM of xtables.h, which means three things: the lock is taken, cannot be opened, or the process may not. */
const RESOURCE_PROBLEM = 4;
const BOTH: readonly IPFamily[] = ["IPv4", "IPv6"];

/**
 * Finds the iptables variant that this node uses, as the wrapper scripts in the kube-proxy image do: the variant that
 * has the chains of the kubelet, else the variant with more rules. On a node without rules it is the default program if
 * that works, else any that works.
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
  // Each of the lists above has a candidate.
  return best ?? probe(run, "", families);
}

async function variantInUse(run: RunProcess): Promise<IptablesVariant | undefined> {
  const nft = await saved(run, "-nft");
  if (HINT.test(nft)) return "nft";
  // Without -t, because -t makes legacy iptables create the table.
  const legacy = await saved(run, "-legacy");
  if (HINT.test(legacy)) return "legacy";
  const difference = countRules(legacy) - countRules(nft);
  if (difference === 0) return undefined;
  return difference > 0 ? "legacy" : "nft";
}

/** Returns all rules of both families; nothing for a family whose program does not work. */
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
  // Without -w, so the program does not wait for the lock: a taken lock proves that the program works.
  const tries = families.map(async (family) => {
    const program = programName(infix, family);
    const result = await run(program, ["-t", "nat", "-S", "POSTROUTING"]);
    if (result.code !== 0 && !isLockTaken(result)) unusable.set(family, `${program}: ${withCure(result.stderr)}`);
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

function isLockTaken({ code, stderr }: ProcessResult): boolean {
  return code === RESOURCE_PROBLEM && /holding the xtables lock/.test(stderr);
}

function isModern(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return major * 1_000_000 + minor * 1_000 + patch >= 1_006_002;
}
