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
  const own = await networkOf(proc, "self");
  const found: string[] = [];
  for (const pid of await readdir(proc).catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    const name = (await readFile(join(proc, pid, "comm"), "utf8").catch(() => "")).trim();
    if (!PROXIES.has(name)) continue;
    const network = await networkOf(proc, pid);
    if (network === undefined || network === own) found.push(`${name} (process ${pid})`);
  }
  return found;
}

function networkOf(proc: string, pid: string): Promise<string | undefined> {
  return readlink(join(proc, pid, "ns/net")).catch(() => undefined);
}
