import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { stringify } from "yaml";
import type { Logger } from "../../../src/model/logger.ts";
import { ApiServerConfig, type ClusterAccess } from "../../../src/sources/api/access/kubeconfig.ts";
import { HandClock } from "../api/worlds/hand-clock.ts";

export interface GivenKubeconfig {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
  /** Fields of the document that differ from the usual ones. */
  readonly rest?: Readonly<Record<string, unknown>>;
}

/** A kubeconfig with one cluster, one user and one context. */
export function kubeconfigText({ cluster = {}, user = {}, rest = {} }: GivenKubeconfig): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster: { server: "https://api.test:6443/", ...cluster } }],
    users: [{ name: "u", user }],
    ...rest,
  });
}

/** A folder with these files, until the test ends. Those that begin with "#!" can be run. */
export async function folderOf(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "kubeconfig-"));
  onTestFinished(() => rm(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await put(join(path, name), text);
  return path;
}

export async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  if (text.startsWith("#!")) await chmod(path, 0o755);
}

/** What a loaded configuration is given: a clock to move, what it logs, and its end. */
export function configWorld() {
  const clock = new HandClock();
  const warnings: string[] = [];
  const stop = new AbortController();
  const warn = (fields: object, message?: string) => void warnings.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { error: warn, warn, info: () => {}, debug: () => {} } as Logger;
  const load = (access: Partial<ClusterAccess>) =>
    ApiServerConfig.load(
      { kubeconfig: "", servers: [], root: "", env: process.env, ...access },
      { clock, random: () => 0, logger, signal: stop.signal },
    );
  onTestFinished(() => stop.abort());
  return { clock, warnings, stop, load };
}

/** The kubeconfig, in a file of a folder with these other files, loaded. */
export async function loaded(
  given: GivenKubeconfig | string,
  files: Readonly<Record<string, string>> = {},
  more: Partial<ClusterAccess> = {},
) {
  const text = typeof given === "string" ? given : kubeconfigText(given);
  const folder = await folderOf({ ...files, config: text });
  const world = configWorld();
  const path = join(folder, "config");
  return { ...world, folder, path, config: await world.load({ kubeconfig: path, ...more }) };
}
