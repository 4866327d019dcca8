import { readdirSync, readFileSync } from "node:fs";

/** What a process and its children have used until now, those that have ended included. */
export interface Usage {
  readonly cpuMs: number;
  readonly rssMiB: number;
  /** The peak of the process itself. */
  readonly peakRssMiB: number;
}

/** Clock ticks of /proc/PID/stat; Linux has 100 a second for all architectures. */
const MS_PER_TICK = 10;

/** Reads the usage of a process from /proc. CPU of children counts when their parent has waited for them, or while they run. */
export function usageOf(pid: number): Usage {
  const pids = treeOf(pid);
  const cpuMs = pids.reduce((sum, one) => sum + cpuOf(one), 0);
  const rssMiB = pids.reduce((sum, one) => sum + statusMiB(one, "VmRSS"), 0);
  return { cpuMs, rssMiB, peakRssMiB: Math.max(statusMiB(pid, "VmHWM"), rssMiB) };
}

/** The process, and all processes below it. */
function treeOf(root: number): readonly number[] {
  const children = Map.groupBy(
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number),
    (pid) => Number(statFields(pid)[1] ?? -1),
  );
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** The fields of /proc/PID/stat from the state on, which is the third; empty if the process has ended. */
function statFields(pid: number): readonly string[] {
  const text = read(`/proc/${pid}/stat`);
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** utime, stime, cutime and cstime: fields 14 to 17 of proc_pid_stat(5). */
function cpuOf(pid: number): number {
  return statFields(pid)
    .slice(11, 15)
    .reduce((sum, ticks) => sum + Number(ticks) * MS_PER_TICK, 0);
}

function statusMiB(pid: number, name: "VmRSS" | "VmHWM"): number {
  const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(read(`/proc/${pid}/status`))?.[1] ?? "0";
  return Number(kib) / 1024;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
