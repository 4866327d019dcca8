import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Sysctl } from "../model/kernel/sysctl.ts";
import type { SetupReport, WrongSysctl } from "./kernel.ts";

/** Settings of the kernel below a folder, by default /proc/sys. */
export class SysctlClient {
  readonly #root: string;
  readonly #write: (path: string, value: string) => Promise<void>;

  constructor(root = "/proc/sys", write: (path: string, value: string) => Promise<void> = writeFile) {
    this.#root = root;
    this.#write = write;
  }

  /**
   * Writes what differs from the wanted, reads it back, and says what was changed. A setting that cannot be had is a
   * warning, and keeps no other from being set.
   */
  async apply(wanted: readonly Sysctl[]): Promise<SetupReport> {
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

  /** What stands there; undefined when this kernel has no such setting. */
  value(path: string): Promise<string | undefined> {
    return this.#read(path).catch(() => undefined);
  }

  /** What differs from the wanted, as "net/ipv4/ip_forward is 0, not 1". Reads only. */
  async differences(wanted: readonly Sysctl[]): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const sysctl of wanted) {
      const value = await this.value(sysctl.path);
      if (value === undefined || !satisfies(value, sysctl)) lines.push(describeDifference(sysctl, value));
    }
    return lines;
  }

  /** Writes it; not ok with the reason if it does not have the value then. */
  async #set(sysctl: Sysctl): Promise<{ readonly ok: true } | { readonly ok: false; readonly reason: string }> {
    try {
      await this.#write(join(this.#root, sysctl.path), sysctl.value);
      // Some take what they are given without an error and keep what they had (another namespace's, a clamped range).
      const after = await this.#read(sysctl.path);
      if (!satisfies(after, sysctl)) return { ok: false, reason: `it was written and is still ${after}` };
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

/** With what to do about it: who sees this may know neither sysctls nor that the agent has an init container. */
function describeWrong(sysctl: Sysctl, found: string | undefined, reason: string): string {
  const asked = sysctl.flag === undefined ? "" : ` as --${sysctl.flag} asks`;
  const difference = `${describeDifference(sysctl, found)}${asked}`;
  if (found === undefined) return `${difference}: this kernel has no such setting, or its module is not loaded`;
  const cure = `set it on the host: sysctl -w ${sysctl.path.replaceAll("/", ".")}=${sysctl.value}`;
  const isReadOnly = READ_ONLY.has(reason);
  const condition = sysctl.initFlag === undefined ? "" : ` where its --${sysctl.initFlag} names this family`;
  const orElse = isReadOnly ? `, or delete the pod of the agent, whose init container sets it${condition}` : "";
  return `${difference}, and cannot be written here (${reason}): ${cure}${orElse}`;
}

/** What a container that may not write to /proc/sys gets. */
const READ_ONLY: ReadonlySet<string> = new Set(["EROFS", "EACCES", "EPERM"]);

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message;
}
