import { existsSync, readFileSync } from "node:fs";

/** Part of an OCI runtime configuration (runtime-spec, config-linux.md). */
export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  readonly errnoRet?: number;
  readonly args?: readonly { index: number; value: number; valueTwo?: number; op: string }[];
}

export interface SeccompProfile {
  readonly defaultAction: "SCMP_ACT_ERRNO";
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

const ENOSYS = 38;
const AF_ALG = 38;
const AF_VSOCK = 40;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of sched.h. */
const CLONE_NAMESPACES = 0x7e020000;
/** PER_LINUX, PER_LINUX32, each with UNAME26, and the question which one is set. */
const PERSONALITIES = [0, 0x0008, 0x20000, 0x20008, 0xffffffff];

/** Whether this kernel can filter system calls; User Mode Linux can since 5.11. */
export function kernelHasSeccompFilters(): boolean {
  return existsSync("/proc/sys/kernel/seccomp/actions_avail");
}

/**
 * Returns the profile that `RuntimeDefault` means with containerd, for a container with these capabilities. A call that it does
 * not allow fails with EPERM; `clone3` with ENOSYS, so that the C library falls back to `clone`, whose flags a filter can read.
 */
export function runtimeDefault(capabilities: readonly string[]): SeccompProfile {
  const listed = listedCalls();
  const isAdmin = capabilities.includes("CAP_SYS_ADMIN");
  const names = ["any", ...capabilities].flatMap((heading) => listed.get(heading) ?? []);
  const allow = (name: string, op: string, value: number, valueTwo = 0): SeccompRule => ({
    names: [name],
    action: "SCMP_ACT_ALLOW",
    args: [{ index: 0, value, valueTwo, op }],
  });
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    architectures: [process.arch === "arm64" ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64"],
    syscalls: [
      { names: [...new Set(names)], action: "SCMP_ACT_ALLOW" },
      ...PERSONALITIES.map((value) => allow("personality", "SCMP_CMP_EQ", value)),
      // All address families but AF_ALG and AF_VSOCK.
      allow("socket", "SCMP_CMP_LT", AF_ALG),
      allow("socket", "SCMP_CMP_EQ", AF_ALG + 1),
      allow("socket", "SCMP_CMP_GT", AF_VSOCK),
      ...(isAdmin
        ? []
        : [
            allow("clone", "SCMP_CMP_MASKED_EQ", CLONE_NAMESPACES, 0),
            { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS } as const,
          ]),
    ],
  };
}

/** Returns the calls of the data file by their heading: "any" or a capability. */
function listedCalls(): ReadonlyMap<string, readonly string[]> {
  const listed = new Map<string, readonly string[]>();
  const text = readFileSync(new URL("seccomp-default.txt", import.meta.url), "utf8");
  for (const [, heading = "", names = ""] of text.matchAll(/^(\w+)\n((?: .*\n)+)/gm))
    listed.set(heading, names.trim().split(/\s+/));
  return listed;
}
