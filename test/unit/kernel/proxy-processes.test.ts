import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { proxyProcesses } from "../../../src/kernel/proxy-processes.ts";

let proc: string;
beforeEach(async () => {
  proc = await mkdtemp(join(tmpdir(), "kube-ipvs-"));
  await put("self", "node", "net:[1]");
});
afterEach(() => rm(proc, { recursive: true }));

async function put(pid: string, name: string, network?: string): Promise<void> {
  await mkdir(join(proc, pid, "ns"), { recursive: true });
  await writeFile(join(proc, pid, "comm"), `${name}\n`);
  if (network !== undefined) await symlink(network, join(proc, pid, "ns/net"));
}

test("a kube-proxy of this network namespace is found, and none of another", async () => {
  await put("10", "kube-proxy", "net:[1]");
  await put("11", "kube-proxy", "net:[2]");
  await put("12", "kubelet", "net:[1]");
  expect(await proxyProcesses(proc)).toEqual(["kube-proxy (process 10)"]);
});

test("a kube-proxy whose namespace cannot be read counts", async () => {
  await put("10", "kube-proxy");
  expect(await proxyProcesses(proc)).toEqual(["kube-proxy (process 10)"]);
});

test("without the folder of processes none is found", async () => {
  expect(await proxyProcesses(join(proc, "none"))).toEqual([]);
});
