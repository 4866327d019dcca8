/** A kernel that suites run on. */
export interface TestKernel {
  /** What KUBE_IPVS_KERNEL and `--kernel` call it. */
  readonly name: string;
  /** What runs it: a guest of User Mode Linux, or QEMU. */
  readonly machine: "uml" | "qemu";
  readonly version: string;
  /** The Debian suite whose package has it. */
  readonly suite: string;
  /** The Debian suite whose iptables its suites run with, as nodes of that suite do; by default that of this machine. */
  readonly iptables?: string;
  /** Which variant of iptables has the plain names; by default legacy, the only one that User Mode Linux has. */
  readonly backend?: "nft" | "legacy";
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
/** What a kernel of its own timing, with modules that load by themselves, could answer differently. */
const NODE = [
  ...OBJECTS,
  "test/e2e/demo",
  ...["early-client", "sctp", "services", "traffic", "traffic-policy"].map(
    (name) => `test/e2e/traffic/${name}.test.ts`,
  ),
  ...["flows", "rolling-update"].map((name) => `test/e2e/flows/${name}.test.ts`),
  ...["kill", "sync", "witnesses"].map((name) => `test/e2e/agent/${name}.test.ts`),
  ...["container", "from-iptables-mode", "nftables-mode", "takeover"].map((name) => `test/e2e/node/${name}.test.ts`),
];
/** What depends on which iptables writes the rules, and the contract. */
const RULES = [
  ...CONTRACT,
  "test/kernel/rules.real.test.ts",
  "test/e2e/agent/sync.test.ts",
  "test/e2e/demo",
  "test/e2e/node/takeover.test.ts",
  "test/e2e/traffic/services.test.ts",
];

/** The kernels that tests run on, the usual one first. On a host with IPVS its own kernel takes the place of the first. */
export const KERNELS: readonly TestKernel[] = [
  { name: "6.1", machine: "uml", version: "6.1", suite: "bookworm", always: ALL },
  { name: "6.12", machine: "uml", version: "6.12", suite: "trixie", iptables: "trixie", always: OBJECTS, rest: ALL },
  {
    name: "5.10",
    machine: "uml",
    version: "5.10",
    suite: "bullseye",
    iptables: "bullseye",
    always: OBJECTS,
    rest: ALL,
  },
  { name: "7.2", machine: "uml", version: "7.2", suite: "sid", always: CONTRACT },
  ...qemu("6.12", "trixie"),
  ...qemu("7.3", "trixie-backports"),
];

/** Debian's cloud kernel of that version, as nodes have it, with iptables-nft and with legacy iptables. */
function qemu(version: string, suite: string): readonly TestKernel[] {
  const kernel = { machine: "qemu", version, suite, iptables: "trixie", always: [], slowness: 5 } as const;
  return [
    { ...kernel, name: `qemu-${version}`, backend: "nft", rest: NODE },
    { ...kernel, name: `qemu-${version}-legacy`, backend: "legacy", rest: RULES },
  ];
}

/** The kernel of that name; an error that lists the names there are. */
export function kernelNamed(name: string): TestKernel {
  const found = KERNELS.find((kernel) => kernel.name === name);
  if (found !== undefined) return found;
  const names = KERNELS.map((kernel) => kernel.name).join(", ");
  throw new Error(`kernel: "${name}" is none of ${names}`);
}
