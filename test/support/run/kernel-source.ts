import { kernelNamed } from "./kernels.ts";

/** Prints what runs a kernel, its version and its Debian suite: `node kernel-source.ts NAME`. */
try {
  const { machine, version, suite } = kernelNamed(process.argv[2] ?? "");
  console.log(`${machine} ${version} ${suite}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
