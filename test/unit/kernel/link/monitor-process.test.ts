import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { leftoverMonitors, MONITOR_COMMANDS } from "../../../../src/kernel/link/monitor-process.ts";

let proc: string;
beforeEach(async () => {
  proc = await mkdtemp(join(tmpdir(), "proc-"));
});
afterEach(() => rm(proc, { recursive: true }));

interface ProcessSpec {
  readonly line?: string;
  readonly namespace?: string;
  readonly environment?: string;
  readonly parent?: number;
  readonly name?: string;
}

/** A process in /proc; by default a monitor whose agent, 100, was killed. */
async function put(pid: string, spec: ProcessSpec = {}): Promise<void> {
  const { line = "ip\0-o\0monitor\0address\0", namespace = "pid:[1]", parent = 1, name = "ip" } = spec;
  const { environment = "PATH=/bin\0KUBE_IPVS_MONITOR_OF=100\0" } = spec;
  const folder = join(proc, pid);
  await mkdir(join(folder, "ns"), { recursive: true });
  await symlink(namespace, join(folder, "ns/pid"));
  await writeFile(join(folder, "cmdline"), line);
  await writeFile(join(folder, "environ"), environment);
  await writeFile(join(folder, "stat"), `${pid} (${name}) S ${parent} 1 1 0`);
}

test.each<[string, ProcessSpec, boolean]>([
  ["a monitor whose agent is not its parent any more", {}, true],
  ["one that another process than 1 has adopted", { parent: 50 }, true],
  ["one whose name could be taken for other fields", { name: "ip) S 100 (x" }, true],
  ["the monitor of an agent that runs", { parent: 100 }, false],
  ["an operator's monitor", { environment: "PATH=/bin\0" }, false],
  ["one with a variable that begins alike", { environment: "KUBE_IPVS_MONITOR_OF_X=1\0" }, false],
  ["one in another namespace of processes, where numbers mean others", { namespace: "pid:[2]" }, false],
  ["a monitor of something else", { line: "ip\0-o\0monitor\0address\0dev\0eth0\0" }, false],
  ["a program that an agent started", { line: "iptables-save\0" }, false],
  ["a kernel thread", { line: "", environment: "" }, false],
])("a monitor of addresses, %s: %o is left over: %s", async (_, spec, isLeftover) => {
  await put("self");
  await put("4711", spec);
  expect(await leftoverMonitors(MONITOR_COMMANDS.address, proc)).toEqual(isLeftover ? [4711] : []);
});

test("processes that end or cannot be read during the search are skipped", async () => {
  await put("self");
  await mkdir(join(proc, "1"));
  await put("2");
  await rm(join(proc, "2/environ"));
  await put("3");
  expect(await leftoverMonitors(MONITOR_COMMANDS.address, proc)).toEqual([3]);
});

test("without /proc there are no leftover monitors", async () => {
  expect(await leftoverMonitors(MONITOR_COMMANDS.address, join(proc, "none"))).toEqual([]);
});
