/** A kernel that suites run on. */
export interface TestKernel {
  /** What KUBE_IPVS_KERNEL and `--kernel` call it. */
  readonly name: string;
  /** What runs it: a guest of User Mode Linux, or QEMU. */
  readonly machine: "uml" | "qemu";
  readonly version: string;
  /** The Debian suite whose package has it. */
  readonly suite: string;
  /** The test files, or folders of them, that each `npm test` runs on it. */
  readonly always: readonly string[];
  /** Those that only `npm run test:kernels -- --all` runs besides; by default none. */
  readonly rest?: readonly string[];
  /** How many times longer than on the usual kernel its suites take; by default 1. */
  readonly slowness?: number;
}

const ALL = ["test/kernel", "test/e2e"];
/** What is programmed and read, without an agent. */
const OBJECTS = ["test/kernel"];
/** Has no legacy iptables and no nat chains of nf_tables, so suites that write rules cannot run. */
const CONTRACT = ["test/kernel/netlink.real.test.ts"];

/** The kernels that tests run on, the usual one first. On a host with IPVS its own kernel takes the place of the first. */
export const KERNELS: readonly TestKernel[] = [
  { name: "6.1", machine: "uml", version: "6.1", suite: "bookworm", always: ALL },
  { name: "6.12", machine: "uml", version: "6.12", suite: "trixie", always: OBJECTS, rest: ALL },
  { name: "5.10", machine: "uml", version: "5.10", suite: "bullseye", always: OBJECTS, rest: ALL },
  { name: "7.2", machine: "uml", version: "7.2", suite: "sid", always: CONTRACT },
  // Debian's cloud kernels, as nodes have them.
  { name: "qemu-6.1", machine: "qemu", version: "6.1", suite: "bookworm", always: [], rest: ALL, slowness: 5 },
  { name: "qemu-6.12", machine: "qemu", version: "6.12", suite: "trixie", always: [], rest: ALL, slowness: 5 },
  { name: "qemu-7.3", machine: "qemu", version: "7.3", suite: "trixie-backports", always: [], rest: ALL, slowness: 5 },
];

/** The kernel of that name; an error that lists the names there are. */
export function kernelNamed(name: string): TestKernel {
  const found = KERNELS.find((kernel) => kernel.name === name);
  if (found !== undefined) return found;
  const names = KERNELS.map((kernel) => kernel.name).join(", ");
  throw new Error(`kernel: "${name}" is none of ${names}`);
}
