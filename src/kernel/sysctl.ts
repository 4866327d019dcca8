import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sysctl } from "../model/kernel/sysctl.ts";
import type { StepReport, WrongSysctl } from "./kernel.ts";

/** Reads and writes kernel settings below a folder, by default /proc/sys. */
export class SysctlClient {
  readonly #root: string;
  readonly #write: (path: string, value: string) => Promise<void>;

  constructor(root = "/proc/sys", write: (path: string, value: string) => Promise<void> = writeFile) {
    this.#root = root;
    this.#write = write;
  }

  /**
   * Writes the settings that differ, reads them back and reports the changes. A setting that cannot be written is a
   * warning, and the others are still written.
   */
  async apply(wanted: readonly Sysctl[]): Promise<StepReport> {
    const changed: string[] = [];
    const wrongSysctls: WrongSysctl[] = [];
    for (const sysctl of wanted) {
      const { path, required, value } = sysctl;
      const before = await this.value(path);
      if (before !== undefined && satisfies(before, sysctl)) continue;
      const after = before === undefined ? undefined : await this.#set(sysctl);
      if (after?.ok === true) changed.push(`set ${path} from ${before} to ${value}`);
      else wrongSysctls.push({ path, required, text: describeWrong(sysctl, before, after?.reason ?? "") });
    }
    const warnings = wrongSysctls.map(({ text }) => text);
    return { changed, warnings, ...(wrongSysctls.length > 0 && { wrongSysctls }) };
  }

  /** Returns the value of a setting; undefined if this kernel does not have it. */
  value(path: string): Promise<string | undefined> {
    return this.#read(path).catch(() => undefined);
  }

  /** Describes the settings that differ: "net/ipv4/ip_forward is 0, not 1". Reads only. */
  async differences(wanted: readonly Sysctl[]): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const sysctl of wanted) {
      const value = await this.value(sysctl.path);
      if (value === undefined || !satisfies(value, sysctl)) lines.push(describeDifference(sysctl, value));
    }
    return lines;
  }

  /** Writes a setting; the result is not ok, with the reason, if it does not have the value afterwards. */
  async #set(sysctl: Sysctl): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }> {
    try {
      await this.#write(join(this.#root, sysctl.path), sysctl.value);
      // Some settings accept a write without an error and keep their value (of another namespace, or outside a range).
      const after = await this.#read(sysctl.path);
      if (!satisfies(after, sysctl))
        return { ok: false, reason: `the write has no effect, the value is still ${after}` };
      return { ok: true };
    } catch (error) {
      return { ok: false, reason: codeOf(error) };
    }
  }

  async #read(path: string): Promise<string> {
    return (await readFile(join(this.#root, path), "utf8")).trim();
  }
}

function satisfies(value: string, wanted: Sysctl): boolean {
  switch (wanted.compare) {
    case "equal":
      return value === wanted.value;
    case "atLeast":
      return Number(value) >= Number(wanted.value);
  }
}

function describeDifference({ path, value, compare }: Sysctl, found: string | undefined): string {
  const wanted = compare === "equal" ? `not ${value}` : `not ${value} or more`;
  return `${path} is ${found ?? "missing"}, ${wanted}`;
}

/** Describes the wrong value and what to do: the reader may not know sysctls or the init container of the agent. */
function describeWrong(sysctl: Sysctl, found: string | undefined, reason: string): string {
  const requirement = sysctl.flag === undefined ? "" : ` as --${sysctl.flag} requires`;
  const difference = `${describeDifference(sysctl, found)}${requirement}`;
  if (found === undefined) return `${difference}: this kernel does not have the setting, or its module is not loaded`;
  const cure = `set it on the host: sysctl -w ${sysctl.path.replaceAll("/", ".")}=${sysctl.value}`;
  const isReadOnly = READ_ONLY.has(reason);
  const condition = sysctl.initFlag === undefined ? "" : ` where its --${sysctl.initFlag} names this family`;
  const orElse = isReadOnly ? `, or delete the pod of the agent, whose init container sets it${condition}` : "";
  return `${difference}, and cannot be written here (${reason}): ${cure}${orElse}`;
}

/** The errors of a container that may not write to /proc/sys. */
const READ_ONLY: ReadonlySet<string> = new Set(["EROFS", "EACCES", "EPERM"]);

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
