import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

export type Facts = Readonly<Record<string, string | number>>;

const CALLS = 20_000;

/** Facts of the machine on which a run was started. They contain no names of hosts and no paths. */
export function machineFacts(): Facts {
  return {
    date: new Date().toISOString().slice(0, 10),
    CPU: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    machine: `Linux ${release()}`,
    "Node.js": process.version,
    commit: commit(),
  };
}

/** The commit of the sources; "+" if they have changes that are not committed. */
function commit(): string {
  const git = (...argv: readonly string[]) => spawnSync("git", argv, { encoding: "utf8" });
  const { status, stdout } = git("rev-parse", "--short", "HEAD");
  if (status !== 0) return "unknown";
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!bench/results").stdout.trim() !== "";
  return `${stdout.trim()}${changed ? "+" : ""}`;
}

/** Facts of the kernel in which programs are measured, and of the programs there. */
export function guestFacts(): Facts {
  const isUml = readFileSync("/proc/cpuinfo", "utf8").includes("User Mode Linux");
  return {
    kernel: `${isUml ? "User Mode Linux" : "Linux"} ${release()}`,
    "system call": `${Number(systemCallUs().toPrecision(3))} us`,
    ...versionOf("iptables", "--version"),
    ...versionOf("nft", "--version"),
    ...versionOf("ipset", "--version"),
    ...versionOf("ipvsadm", "--version"),
    ...versionOf("keepalived", "--version"),
  };
}

/** The time of a system call that does almost nothing. */
function systemCallUs(): number {
  const startMs = performance.now();
  for (let call = 0; call < CALLS; call++) existsSync("/");
  return ((performance.now() - startMs) * 1000) / CALLS;
}

function versionOf(program: string, flag: string): Facts {
  try {
    const text = execFileSync("sh", ["-c", `${program} ${flag} 2>&1`], { encoding: "utf8" });
    const version = /v?\d+\.\d+(\.\d+)?( \((legacy|nf_tables)\))?/.exec(text)?.[0];
    return version === undefined ? {} : { [program]: version };
  } catch {
    return {};
  }
}
