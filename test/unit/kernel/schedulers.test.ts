import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KERNEL_MODULES, missingModules, missingSchedulers } from "../../../src/kernel/modules.ts";
import type { Scheduler } from "../../../src/model/kernel/ipvs.ts";

const [MH, SH, LC, WLC] = ["mh", "sh", "lc", "wlc"] as Scheduler[] as [Scheduler, Scheduler, Scheduler, Scheduler];

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "kube-ipvs-"));
});
afterEach(() => rm(root, { recursive: true }));

async function put(file: string, text: string): Promise<void> {
  await mkdir(join(root, file, ".."), { recursive: true });
  await writeFile(join(root, file), text);
}

test("a scheduler is missing if its module is neither loaded, nor built in, nor installed", async () => {
  await put("proc/modules", "ip_vs_sh 16384 2 - Live 0x0\nip_vs 180224 4 ip_vs_sh, Live 0x0\n");
  await put(`lib/modules/${release()}/modules.builtin`, "kernel/net/netfilter/ipvs/ip_vs_lc.ko\n");
  await put(`lib/modules/${release()}/modules.dep`, "kernel/net/netfilter/ipvs/ip_vs_wlc.ko.xz: kernel/x.ko\n");
  expect(await missingSchedulers([MH, SH, LC, WLC], root)).toEqual([MH]);
});

test("without the files of the modules, a scheduler that is not loaded is missing", async () => {
  await put("proc/modules", "ip_vs_sh 16384 2 - Live 0x0\n");
  expect(await missingSchedulers([MH, SH], root)).toEqual([MH]);
});

test("a scheduler that is built in is not missing, also without the files of the modules", async () => {
  await put("sys/module/ip_vs_mh/uevent", "");
  expect(await missingSchedulers([MH, SH], root)).toEqual([SH]);
});

test("a module that is in no form here is missing, whether its file has dashes, lies elsewhere or is compressed", async () => {
  const [first = "", second = "", ...others] = KERNEL_MODULES.filter((name) => !name.startsWith("ip_vs_"));
  const files = others
    .filter((name) => name !== "xt_set")
    .map((name) => `kernel/net/${name.replaceAll("_", "-")}.ko.xz:\n`);
  await put(`lib/modules/${release()}/modules.dep`, files.join(""));
  await put(`lib/modules/${release()}/modules.builtin`, `kernel/net/${first}.ko\n`);
  await put("proc/modules", `${second} 16384 2 - Live 0x0\n`);
  expect(await missingModules(root)).toEqual(["xt_set"]);
});

test("without the files of the modules, no module counts as missing", async () => {
  await put("proc/modules", "ip_vs 16384 2 - Live 0x0\n");
  expect(await missingModules(root)).toEqual([]);
});
