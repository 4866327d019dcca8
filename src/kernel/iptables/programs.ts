import { readFile } from "node:fs/promises";
import type { IPFamily } from "../../model/address.ts";
import type { IptablesBackend } from "../../model/kernel/rules.ts";
import type { ProcessResult, RunProcess } from "../run-process.ts";
import { withCure } from "./cure.ts";

/** The middle of the names of the programs of one backend, as in "iptables-nft"; "" for the default of the node. */
export type Infix = "" | `-${IptablesBackend}`;

/** The exit code of a program that does not exist, as in a shell. */
export const NO_PROGRAM = 127;

/**
 * The rules of one family could not be read, or one of its tables could not be written. Other families and tables are
 * not affected.
 */
export class IptablesError extends Error {
  override readonly name = "IptablesError";
  readonly family: IPFamily;
  /** The error output of the program. */
  readonly stderr: string;
  /** The input line that the program named in its error; "" if it named none. */
  readonly line: string;
  /** Whether the program does not exist. */
  readonly isMissing: boolean;

  /** `task` is the operation that failed: `write iptables table "nat"`. */
  constructor(task: string, family: IPFamily, { code, stderr }: Pick<ProcessResult, "code" | "stderr">, line = "") {
    super(`Cannot ${task} of ${family}: ${withCure(stderr)}${line === "" ? "" : ` (line "${line}")`}`);
    this.family = family;
    this.stderr = stderr;
    this.line = line;
    this.isMissing = code === NO_PROGRAM;
  }
}

/** Returns the name of a program, as "ip6tables-nft-restore"; for IPv6 the name begins with "ip6tables". */
export function programName(infix: Infix, family: IPFamily, suffix: "" | "-save" | "-restore" = ""): string {
  return `${family === "IPv4" ? "iptables" : "ip6tables"}${infix}${suffix}`;
}

/** Returns all tables of a family. Rejects with an IptablesError. */
export async function saveRules(run: RunProcess, infix: Infix, family: IPFamily): Promise<string> {
  const result = await run(programName(infix, family, "-save"), []);
  if (result.code !== 0) throw new IptablesError("read iptables rules", family, result);
  return result.stdout;
}

/**
 * RESOURCE_PROBLEM of xtables.h, which means four things: the lock is taken, cannot be opened, the process may not, or
 * the kernel has no nf_tables.
 */
const RESOURCE_PROBLEM = 4;

/** Whether a program has ended because another program holds the xtables lock. */
export function isLockTaken({ code, stderr }: Pick<ProcessResult, "code" | "stderr">): boolean {
  return code === RESOURCE_PROBLEM && /holding the xtables lock/.test(stderr);
}

/**
 * What the programs of nft print, with exit code 4, on a kernel without nf_tables (seen with 1.8.7 to 1.8.13 on Linux
 * 6.1), or where nothing answers for it: there are no rules of nft.
 */
const NO_NF_TABLES =
  /Could not fetch rule set generation id: Invalid argument|Failed to initialize nft: Protocol not supported/;

/** Whether the error output of a program of nft says that the kernel has no nf_tables. */
export function lacksNfTables(stderr: string): boolean {
  return NO_NF_TABLES.test(stderr);
}

/**
 * Whether the kernel has tables of legacy iptables in this network namespace, or it is not known. iptables-legacy-save
 * begins with the same file, which is missing without the module ip_tables: then there is nothing to read, and no program
 * needs to start. Linux 6.17 may be built without these tables.
 */
export async function hasLegacyTables(family: IPFamily, proc = "/proc"): Promise<boolean> {
  const file = `${proc}/net/${family === "IPv4" ? "ip_tables_names" : "ip6_tables_names"}`;
  try {
    return (await readFile(file, "utf8")).trim() !== "";
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ENOENT");
  }
}
