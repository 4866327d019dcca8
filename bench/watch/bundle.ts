import { basename, join } from "node:path";
import { build } from "esbuild";
import { bundling } from "../../build.ts";

/** Bundles a program into the folder as the agent is bundled; returns the path of the file. */
export async function bundleLikeAgent(entry: string, folder: string): Promise<string> {
  const outfile = join(folder, `${basename(entry, ".ts")}.mjs`);
  await build(bundling(entry, outfile));
  return outfile;
}

/** Bundles a program with all of client-node, which uses less memory than loading it file by file. */
export async function bundleWhole(entry: string, folder: string): Promise<string> {
  const outfile = join(folder, `${basename(entry, ".ts")}.mjs`);
  await build({ ...bundling(entry, outfile), plugins: [] });
  return outfile;
}
