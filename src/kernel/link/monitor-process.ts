import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { RunProcess } from "../run-process.ts";

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

/** Its value is the process id of the agent that started the monitor. */
export const MONITOR_OF = "KUBE_IPVS_MONITOR_OF";

/**
 * Process ids of monitors whose agent was killed and which nothing ended: they run this command, were started by an agent of
 * this namespace of processes, and that agent is not their parent any more. Those of an agent that runs are not among them.
 *
 * `proc` is the folder of all processes. A process that ends meanwhile, or that may not be read, is left out.
 */
export async function leftoverMonitors(command: readonly string[], proc = "/proc"): Promise<readonly number[]> {
  const namespace = await readlink(join(proc, "self/ns/pid")).catch(() => undefined);
  if (namespace === undefined) return [];
  const commandLine = command.map((word) => `${word}\0`).join("");
  const found: number[] = [];
  for (const name of await readdir(proc)) {
    if (!/^\d+$/.test(name)) continue;
    const isLeftover = await isLeftoverOf(join(proc, name), { commandLine, namespace }).catch(() => false);
    if (isLeftover) found.push(Number(name));
  }
  return found;
}

interface Looked {
  readonly commandLine: string;
  readonly namespace: string;
}

/** Most processes are told apart by their command line, the cheapest to read: some 0.1 ms each. */
async function isLeftoverOf(process: string, { commandLine, namespace }: Looked): Promise<boolean> {
  if ((await readFile(join(process, "cmdline"), "latin1")) !== commandLine) return false;
  // Elsewhere the same numbers mean other processes.
  if ((await readlink(join(process, "ns/pid"))) !== namespace) return false;
  const environment = await readFile(join(process, "environ"), "latin1");
  const agent = environment.split("\0").find((variable) => variable.startsWith(`${MONITOR_OF}=`));
  return agent !== undefined && agent !== `${MONITOR_OF}=${await parentOf(process)}`;
}

/** The name in parentheses before it may hold spaces and parentheses. */
async function parentOf(process: string): Promise<string | undefined> {
  const stat = await readFile(join(process, "stat"), "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
}
