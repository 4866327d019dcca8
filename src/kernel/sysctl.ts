import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KernelError } from "../model/kernel-error.ts";
import type { SetupReport, Sysctl } from "./kernel.ts";

/** A setting that the agent cannot work without is not as it must be and cannot be made so. */
export class SysctlError extends KernelError {
  override readonly name = "SysctlError";
}

/** Settings of the kernel below a folder, by default /proc/sys. */
export class SysctlClient {
  readonly #root: string;

  constructor(root = "/proc/sys") {
    this.#root = root;
  }

  /**
   * Writes what differs from the wanted, reads it back, and says what was changed. What cannot be had is a warning;
   * if it is required, rejects with a SysctlError, after all others were done.
   */
  async apply(wanted: readonly Sysctl[]): Promise<SetupReport> {
    const changed: string[] = [];
    const warnings: string[] = [];
    const errors: string[] = [];
    for (const sysctl of wanted) {
      try {
        const before = await this.#ensure(sysctl);
        if (before !== sysctl.value) changed.push(`set ${sysctl.path} from ${before} to ${sysctl.value}`);
      } catch (error) {
        const because = error instanceof Error ? error.message : String(error);
        const asked = sysctl.flag === undefined ? "" : ` for --${sysctl.flag}`;
        (sysctl.required ? errors : warnings).push(`Cannot set ${sysctl.path} to ${sysctl.value}${asked}: ${because}`);
      }
    }
    if (errors.length > 0) throw new SysctlError(errors.join("; "));
    return { changed, warnings };
  }

  /** What stands there; undefined when this kernel has no such setting. */
  value(path: string): Promise<string | undefined> {
    return this.#read(path).catch(() => undefined);
  }

  /** What differs from the wanted, as "net/ipv4/ip_forward is 0, not 1". Reads only. */
  async differences(wanted: readonly Sysctl[]): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const sysctl of wanted) {
      const value = await this.#read(sysctl.path).catch(() => "missing");
      if (value === "missing" || !satisfies(value, sysctl))
        lines.push(`${sysctl.path} is ${value}, not ${sysctl.value}`);
    }
    return lines;
  }

  /** Returns the value that was there before, or the wanted one if nothing had to be done. */
  async #ensure(sysctl: Sysctl): Promise<string> {
    const before = await this.#read(sysctl.path);
    if (satisfies(before, sysctl)) return sysctl.value;
    await writeFile(join(this.#root, sysctl.path), sysctl.value);
    // Some take what they are given without an error and keep what they had (another namespace's, a clamped range).
    const after = await this.#read(sysctl.path);
    if (!satisfies(after, sysctl)) throw new Error(`it was written and is still ${after}`);
    return before;
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
