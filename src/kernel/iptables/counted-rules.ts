import type { IPFamily } from "../../model/address.ts";
import type { RunProcess } from "../run-process.ts";
import { hasLegacyTables, type Infix, IptablesError, programName } from "./programs.ts";

/**
 * Returns the rules of a family with their counters, as `iptables-save -c` prints them: one text for each backend that has
 * any, because the kernel applies both. Rejects with an IptablesError if no program can read them.
 */
export async function saveCounted(run: RunProcess, family: IPFamily): Promise<readonly string[]> {
  const legacy = (await hasLegacyTables(family)) ? await save(run, "-legacy", family) : undefined;
  const texts = [legacy, await save(run, "-nft", family)].filter((text) => text !== undefined);
  if (texts.length > 0) return texts.filter((text) => /^\*/m.test(text));
  const { code, stdout, stderr } = await run(programName("", family, "-save"), ["-c"]);
  if (code !== 0) throw new IptablesError("read iptables rules", family, { code, stderr });
  return [stdout];
}

/** Undefined if the program is missing or the kernel has no such tables. */
async function save(run: RunProcess, infix: Infix, family: IPFamily): Promise<string | undefined> {
  const { code, stdout } = await run(programName(infix, family, "-save"), ["-c"]);
  return code === 0 ? stdout : undefined;
}
