import { kernelNamed } from "./kernels.ts";

/** Prints what runs a kernel, its version, its Debian suite, that of its iptables (or -) and their variant: `node kernel-source.ts NAME`. */
try {
  const { machine, version, suite, iptables = "-", backend = "legacy" } = kernelNamed(process.argv[2] ?? "");
  console.log(`${machine} ${version} ${suite} ${iptables} ${backend}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
