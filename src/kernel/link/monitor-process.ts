import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { VipBinding } from "../../model/vip-binding.ts";
import type { RunProcess } from "../run-process.ts";

/** The program that reports changes of addresses, and of routes if they bind VIPs. */
export const MONITOR_COMMANDS: Readonly<Record<VipBinding, readonly string[]>> = {
  address: ["ip", "-o", "monitor", "address"],
  route: ["ip", "-o", "monitor", "address", "route"],
};

/** Makes the kernel end the following command when the process that started it ends, even by SIGKILL. */
const ENDS_WITH_PARENT = ["setpriv", "--pdeathsig", "TERM"] as const;

/**
 * Returns a function that starts a monitor. If the `setpriv` of util-linux exists, each monitor ends with this process,
 * even if that is killed. Without `setpriv`, a monitor whose agent was killed ends at the next change of an address,
 * when it writes to a closed pipe. Monitors that earlier agents left over are ended at the call.
 */
export async function monitorStarter(run: RunProcess, binding: VipBinding): Promise<() => ChildProcess> {
  for (const command of Object.values(MONITOR_COMMANDS))
    for (const pid of await leftoverMonitors(command)) endProcess(pid);
  // The trial runs `ip`, which is needed in any case; the setpriv of busybox does not have this option.
  const { code } = await run(ENDS_WITH_PARENT[0], [...ENDS_WITH_PARENT.slice(1), "ip", "-V"]);
  const command = MONITOR_COMMANDS[binding];
  const argv = code === 0 ? [...ENDS_WITH_PARENT, ...command] : command;
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
    // The process has ended.
  }
}

/** Environment variable of a monitor: the process id of the agent that started it. */
export const MONITOR_OF = "KUBE_IPVS_MONITOR_OF";

/**
 * Returns the process ids of monitors whose agent was killed. These processes run `command`, were started by an agent
 * of this pid namespace, and that agent is not their parent any more. Monitors of a running agent are not among them.
 *
 * `proc` is the folder of all processes. A process that ends meanwhile or cannot be read is left out.
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

interface Sought {
  readonly commandLine: string;
  readonly namespace: string;
}

/** Compares the command line first, because it is the cheapest to read, about 0.1 ms for each process. */
async function isLeftoverOf(process: string, { commandLine, namespace }: Sought): Promise<boolean> {
  if ((await readFile(join(process, "cmdline"), "latin1")) !== commandLine) return false;
  // Process ids of another namespace mean other processes.
  if ((await readlink(join(process, "ns/pid"))) !== namespace) return false;
  const environment = await readFile(join(process, "environ"), "latin1");
  const agent = environment.split("\0").find((variable) => variable.startsWith(`${MONITOR_OF}=`));
  return agent !== undefined && agent !== `${MONITOR_OF}=${await parentOf(process)}`;
}

/** Reads the field after the name in parentheses; the name may contain spaces and parentheses. */
async function parentOf(process: string): Promise<string | undefined> {
  const stat = await readFile(join(process, "stat"), "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
}
