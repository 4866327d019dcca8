import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { type Size, sizeText } from "../report/size.ts";
import type { Part } from "./arguments.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Parts that need a real kernel; the others run on this machine. */
const IN_KERNEL: ReadonlySet<Part> = new Set(["sentinels", "traffic"]);

/** Runs the benchmark of one part, into a new folder. Returns its exit code. */
export function runPart({ part, sizes }: { readonly part: Part; readonly sizes: readonly Size[] }): number {
  const folder = join(
    ROOT,
    ".cache/bench",
    `${new Date().toISOString().slice(0, 19).replaceAll(/[T:]/g, "-")}-${part}`,
  );
  mkdirSync(folder, { recursive: true });
  const program = ["node", join(ROOT, `bench/parts/${part}.ts`), folder, ...sizeWords(part, sizes)];
  const argv = IN_KERNEL.has(part) ? ["bash", join(ROOT, "test/support/run.sh"), "kernel", ...program] : program;
  const [command = "", ...words] = argv;
  const { status } = spawnSync(command, words, {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, PATIENCE: "1" },
  });
  const shown = relative(process.cwd(), folder);
  if (status === 0) process.stderr.write(`>> to publish it: npm run bench -- publish ${shown}\n`);
  return status ?? 1;
}

/** `traffic` takes one number of Services, `watch` a list of sizes. */
function sizeWords(part: Part, sizes: readonly Size[]): readonly string[] {
  const [first] = sizes;
  if (first === undefined || part === "sentinels" || part === "turns") return [];
  return [part === "traffic" ? `${first.services}` : sizes.map(sizeText).join(",")];
}
