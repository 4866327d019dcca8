import { type ChildProcess, spawn } from "node:child_process";
import type { RunProcess } from "../run-process.ts";
import { leftoverMonitors, MONITOR_OF } from "./leftover-monitors.ts";

/** What listens. */
export const MONITOR_COMMAND = ["ip", "-o", "monitor", "address"] as const;

/** Has the kernel end the command after it when the process that started it ends, however that ends. */
const ENDS_WITH_PARENT = ["setpriv", "--pdeathsig", "TERM"] as const;

/**
 * Makes the starter of monitors: each ends with this process, even when that is killed, where util-linux's `setpriv` is there.
 * Without it a monitor whose agent was killed ends at the next change of an address, when it writes to nobody; and those that are
 * left from agents before this one are ended here.
 */
export async function monitorStarter(run: RunProcess): Promise<() => ChildProcess> {
  for (const pid of await leftoverMonitors(MONITOR_COMMAND)) endProcess(pid);
  // Asked for by a program that is there anyway; busybox has a setpriv without that option.
  const { code } = await run(ENDS_WITH_PARENT[0], [...ENDS_WITH_PARENT.slice(1), "ip", "-V"]);
  const argv = code === 0 ? [...ENDS_WITH_PARENT, ...MONITOR_COMMAND] : [...MONITOR_COMMAND];
  return () => start(argv);
}

function start([program = "", ...args]: readonly string[]): ChildProcess {
  const env = { ...process.env, [MONITOR_OF]: String(process.pid) };
  return spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch {
    // It has ended by itself.
  }
}
