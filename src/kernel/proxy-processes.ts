import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

/** Programs that program Services of all kinds, by the name of their process. */
const PROXIES: ReadonlySet<string> = new Set(["kube-proxy", "kube-router"]);

/**
 * Returns the service proxies that run in the network namespace of this process, as text: `kube-proxy (process 1234)`.
 * Without the process namespace of the host it finds none. A process whose namespace cannot be read counts: on a node
 * these programs use the host's network. `proc` is the folder of all processes.
 */
export async function proxyProcesses(proc = "/proc"): Promise<readonly string[]> {
  const own = networkOf(proc, "self");
  const find = async (pid: string): Promise<readonly string[]> => {
    const name = (await readFile(join(proc, pid, "comm"), "utf8").catch(() => "")).trim();
    if (!PROXIES.has(name)) return [];
    const network = await networkOf(proc, pid);
    return network === undefined || network === (await own) ? [`${name} (process ${pid})`] : [];
  };
  const pids = (await readdir(proc).catch(() => [])).filter((entry) => /^\d+$/.test(entry));
  return (await Promise.all(pids.map(find))).flat();
}

function networkOf(proc: string, pid: string): Promise<string | undefined> {
  return readlink(join(proc, pid, "ns/net")).catch(() => undefined);
}
