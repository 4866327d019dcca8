import type { IPFamily } from "../../model/address.ts";
import type { IptablesBackend } from "../../model/kernel/rules.ts";
import type { RunProcess } from "../run-process.ts";
import { type BackendChoice, type BackendState, chooseBackend } from "./backend.ts";
import { withCure } from "./cure.ts";
import { type Infix, IptablesError, isLockTaken, lacksNfTables, programName, saveRules } from "./programs.ts";

/** The iptables programs to use on this node. */
export interface IptablesTools {
  readonly infix: Infix;
  readonly backend: IptablesBackend;
  readonly families: readonly IPFamily[];
  /** Families whose program does not work, with its error output. */
  readonly unusable: ReadonlyMap<IPFamily, string>;
  /** Whether `backend` is certain: a default program of 1.8 or newer that does not name its backend may be of either. */
  readonly isBackendKnown: boolean;
  /** Whether `iptables-restore -w` and `MASQUERADE --random-fully` are supported: since 1.6.2. */
  readonly modern: boolean;
}

/** The programs to use, and what both backends hold. */
export interface FoundIptables {
  readonly tools: IptablesTools;
  /** Why this backend is used: text for an operator. */
  readonly reason: string;
  readonly own: BackendState;
  readonly other: BackendState;
  /** Why the backend of this node is not used, although it was found: text for an operator; "" if it is used. */
  readonly hindrance: string;
}

export interface FindOptions {
  readonly run: RunProcess;
  /** Whether the kernel has legacy tables of a family; true if it is not known. */
  readonly hasLegacyTables: (family: IPFamily) => Promise<boolean>;
  /** The backend that the configuration requires; undefined: it is detected. */
  readonly required: IptablesBackend | undefined;
}

/**
 * Finds the iptables backend that this node uses, by `chooseBackend`, and the programs for it. On a node without rules
 * it is the default program if that works, else any that works. `inUse` are the programs that the agent uses: programs
 * of another backend replace them only if they work for as many families. If `areTried`, programs in use are known to
 * work, and are not started to try them.
 */
export async function findIptables(
  options: FindOptions,
  families: readonly IPFamily[],
  inUse?: IptablesTools,
  areTried = false,
): Promise<FoundIptables> {
  const [nft, legacy] = await Promise.all([
    readBackend(options, "nft", families),
    readBackend(options, "legacy", families),
  ]);
  const choice: BackendChoice | undefined =
    options.required === undefined
      ? chooseBackend(nft, legacy, inUse?.backend)
      : { backend: options.required, reason: "--iptables-backend requires it" };
  const isSame = inUse?.backend === choice?.backend;
  const shown = { "": NOTHING_SAVED, "-nft": nft.saved, "-legacy": legacy.saved };
  const candidate = isSame && areTried && inUse ? inUse : await usable(options.run, families, shown, choice?.backend);
  const stays = !isSame && inUse !== undefined && candidate.unusable.size > inUse.unusable.size;
  const tools = stays ? inUse : candidate;
  return {
    tools,
    reason: choice?.reason ?? "neither backend has rules, and it is the default of the node",
    own: tools.backend === "nft" ? nft : legacy,
    other: tools.backend === "nft" ? legacy : nft,
    hindrance: stays ? [...candidate.unusable.values()].join("; ") : "",
  };
}

async function readBackend(
  options: FindOptions,
  backend: IptablesBackend,
  families: readonly IPFamily[],
): Promise<BackendState> {
  const saved = new Map<IPFamily, string>();
  const unread = new Map<IPFamily, string>();
  let isInstalled = true;
  const read = async (family: IPFamily): Promise<void> => {
    const result = await readFamily(options, backend, family);
    if (typeof result === "string") saved.set(family, result);
    else {
      unread.set(family, withCure(result.stderr));
      if (result.isMissing) isInstalled = false;
    }
  };
  await Promise.all(families.map(read));
  return { backend, saved, unread, isInstalled };
}

async function readFamily(
  { run, hasLegacyTables }: FindOptions,
  backend: IptablesBackend,
  family: IPFamily,
): Promise<string | IptablesError> {
  if (backend === "legacy" && !(await hasLegacyTables(family))) return "";
  try {
    // Without -t, because -t makes legacy iptables create the table.
    return await saveRules(run, `-${backend}`, family);
  } catch (error) {
    if (!(error instanceof IptablesError)) throw error;
    return backend === "nft" && lacksNfTables(error.stderr) ? "" : error;
  }
}

/** What the program of each family has printed of all tables. */
type Saved = ReadonlyMap<IPFamily, string>;

const NOTHING_SAVED: Saved = new Map();

/**
 * Returns the programs of a backend, or of any if it is undefined, that work for most families. `shown` is the output of the
 * programs with each infix.
 */
async function usable(
  run: RunProcess,
  families: readonly IPFamily[],
  shown: Readonly<Record<Infix, Saved>>,
  backend: IptablesBackend | undefined,
): Promise<IptablesTools> {
  // Before 1.8 the programs have no infix: the default is legacy.
  const candidates: readonly Infix[] = backend === undefined ? ["", "-nft", "-legacy"] : [`-${backend}`, ""];
  let best: IptablesTools | undefined;
  for (const infix of candidates) {
    const tools = await probe(run, infix, families, shown[infix]);
    if (best !== undefined && backend !== undefined && tools.backend !== backend) continue;
    if (best === undefined || tools.families.length > best.families.length) best = tools;
    if (best.unusable.size === 0) break;
  }
  // Each of the lists above has a candidate.
  return best ?? probe(run, "", families, NOTHING_SAVED);
}

/**
 * Tries the programs of all families. A family whose table nat they have shown is not tried: its programs work, and the kernel
 * has this table, which is missing where nf_tables is without chains of nat. Programs with an infix are of 1.8 or newer.
 */
async function probe(
  run: RunProcess,
  infix: Infix,
  families: readonly IPFamily[],
  shown: Saved,
): Promise<IptablesTools> {
  const unusable = new Map<IPFamily, string>();
  const untried = families.filter((family) => !/^\*nat$/m.test(shown.get(family) ?? ""));
  // Without -w, so the program does not wait for the lock: a taken lock proves that the program works.
  const tries = untried.map(async (family) => {
    const program = programName(infix, family);
    const result = await run(program, ["-t", "nat", "-S", "POSTROUTING"]);
    if (result.code !== 0 && !isLockTaken(result)) unusable.set(family, `${program}: ${withCure(result.stderr)}`);
  });
  const [version] = await Promise.all([infix === "" ? versionText(run) : "", ...tries]);
  return {
    infix,
    backend: infix === "-nft" || version.includes(NFT) ? "nft" : "legacy",
    isBackendKnown: infix !== "" || version.includes(NFT) || version.includes(LEGACY) || isOlder(version, 1, 8, 0),
    families: families.filter((family) => !unusable.has(family)),
    unusable,
    modern: infix !== "" || (VERSION.test(version) && !isOlder(version, 1, 6, 2)),
  };
}

/** Returns what the default program prints as its version: "iptables v1.8.9 (nf_tables)". */
async function versionText(run: RunProcess): Promise<string> {
  return (await run(programName("", "IPv4"), ["--version"])).stdout;
}

const VERSION = /v(\d+\.\d+(?:\.\d+)?)/;

/** From 1.8 on a program names its backend in its version. Before, there is only legacy. */
const [NFT, LEGACY] = ["(nf_tables)", "(legacy)"] as const;

/** Whether the version in this text is older than the given one; false if there is none. */
function isOlder(text: string, ...than: readonly [number, number, number]): boolean {
  const version = VERSION.exec(text)?.[1];
  if (version === undefined) return false;
  const number = (parts: readonly number[]) => parts.reduce((sum, part) => sum * 1_000 + part, 0);
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return number([major, minor, patch]) < number(than);
}
