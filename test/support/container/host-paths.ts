import { existsSync } from "node:fs";
import { mkdtemp, realpath } from "node:fs/promises";
import { release } from "node:os";
import { dirname } from "node:path";
import type { TestNode } from "../node/netns.ts";

/** Where the paths of the host that a manifest mounts are on this node: its iptables lock is its own. */
export async function hostPaths(node: TestNode): Promise<(path: string) => string> {
  const paths = new Map([
    ["/lib/modules", await modulesFolder()],
    ["/run/xtables.lock", `/run/xtables-${node.name}.lock`],
  ]);
  return (path) => paths.get(path) ?? path;
}

/**
 * Returns the folder that is /lib/modules of the node: a guest keeps the modules of its kernel elsewhere. On a machine without
 * modules it is an empty folder, as containerd creates one.
 */
async function modulesFolder(): Promise<string> {
  const ofGuest = `/run/modules/lib/modules/${release()}`;
  if (existsSync(ofGuest)) return dirname(await realpath(ofGuest));
  return existsSync("/lib/modules") ? "/lib/modules" : mkdtemp("/run/kube-ipvs-no-modules-");
}
