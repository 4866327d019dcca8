import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Writes what the network namespace of this process holds as input of the usual programs: `servers` for `ipvsadm -R`, `sets` for
 * `ipset restore`, `addresses` for `ip -batch`, all without the rules, which are few.
 */
export function leaveState(folder: string): void {
  const output = (program: string, ...argv: readonly string[]) =>
    execFileSync(program, argv, { encoding: "utf8", maxBuffer: 1 << 30 });
  writeFileSync(join(folder, "servers"), output("ipvsadm", "-Sn"));
  writeFileSync(join(folder, "sets"), output("ipset", "save"));
  writeFileSync(join(folder, "addresses"), batchOf(output("ip", "-o", "-4", "address", "show", "dev", "kube-ipvs0")));
}

/** Lines of `ip -o address show` as lines of `ip -batch` that add these addresses. */
export function batchOf(text: string): string {
  return [...text.matchAll(/ inet (\S+) /g)].map(([, address]) => `address add ${address} dev kube-ipvs0\n`).join("");
}

/** The programs that put the objects into a kernel, one after the other, and their files. */
export const RESTORERS = [
  { name: "ip -batch", argv: ["ip", "-batch", "addresses"], file: undefined },
  { name: "ipset restore", argv: ["ipset", "restore", "-file", "sets"], file: undefined },
  { name: "ipvsadm -R", argv: ["ipvsadm", "-R"], file: "servers" },
] as const;
