/** A kernel that suites run on. */
export interface TestKernel {
  /** What KUBE_IPVS_KERNEL and `--kernel` call it. */
  readonly name: string;
  /** What runs it: a guest of User Mode Linux, or QEMU. */
  readonly machine: "uml" | "qemu";
  readonly version: string;
  /** The Debian suite whose package has it. */
  readonly suite: string;
}

/** The kernels that are fetched for tests, the usual one first. */
export const KERNELS: readonly TestKernel[] = [
  { name: "6.1", machine: "uml", version: "6.1", suite: "bookworm" },
  { name: "6.12", machine: "uml", version: "6.12", suite: "trixie" },
  { name: "5.10", machine: "uml", version: "5.10", suite: "bullseye" },
  { name: "7.2", machine: "uml", version: "7.2", suite: "sid" },
  { name: "qemu-6.1", machine: "qemu", version: "6.1", suite: "bookworm" },
  { name: "qemu-6.12", machine: "qemu", version: "6.12", suite: "trixie" },
  { name: "qemu-7.3", machine: "qemu", version: "7.3", suite: "trixie-backports" },
];

/** The kernel of that name; an error that lists the names there are. */
export function kernelNamed(name: string): TestKernel {
  const found = KERNELS.find((kernel) => kernel.name === name);
  if (found !== undefined) return found;
  const names = KERNELS.map((kernel) => kernel.name).join(", ");
  throw new Error(`kernel: "${name}" is none of ${names}`);
}
