import { chmod, copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";
import { materials, writeBillOfMaterials } from "./packaging/bill-of-materials.ts";
import { buildPage } from "./packaging/page/build-page.ts";

/** The platforms whose native netlink binding ships beside the bundle. */
const PLATFORMS = ["linux-x64", "linux-arm64"];

/**
 * The netlink package finds its binding by searching its own package folder, which a bundle does not have.
 * Here it is the file of this platform beside the bundle.
 */
const bindingBesideBundle: Plugin = {
  name: "binding-beside-bundle",
  setup(setup) {
    setup.onResolve({ filter: /^node-gyp-build$/ }, () => ({ path: "binding", namespace: "beside" }));
    setup.onLoad({ filter: /.*/, namespace: "beside" }, () => ({
      contents: `module.exports = () => require(__dirname + "/netlink." + process.platform + "-" + process.arch + ".node");`,
      loader: "js",
    }));
  },
};

/**
 * An `import` of node:http reads all its exports, of which one, WebSocket, loads a whole HTTP client: 7 MB of memory and
 * 15 ms that a `require` does not cost.
 */
const httpRequired: Plugin = {
  name: "http-required",
  setup(setup) {
    setup.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      kind === "require-call" ? undefined : { path: "http", namespace: "required" },
    );
    setup.onLoad({ filter: /^http$/, namespace: "required" }, () => ({
      contents: `module.exports = require("node:http");`,
    }));
  },
};

const { version } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"));

/**
 * With what Node runs the agent: its first line says so, so that it holds wherever it is started from. A small young
 * generation saves tens of MB of resident memory. One helper thread, no TurboFan and no compiling beside the main thread save
 * 15 MB more and a quarter of the CPU of a start: an agent works in bursts, and code that it optimized to the last
 * is not run again soon enough.
 */
export const NODE_FLAGS: readonly string[] = [
  "--max-semi-space-size=4",
  "--v8-pool-size=1",
  "--no-turbofan",
  "--no-concurrent-recompilation",
];

/** How a program becomes the one file that ships, or is measured in its place. */
export function bundling(entry: string, outfile: string): BuildOptions {
  return {
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    // Older than what it runs on, so that an older one can read it to the end and tell which one is needed.
    target: "node20",
    format: "esm",
    minifySyntax: true,
    legalComments: "external",
    logLevel: "warning",
    define: { KUBE_IPVS_VERSION: JSON.stringify(version) },
    banner: {
      js: [
        `#!/usr/bin/env -S node ${NODE_FLAGS.join(" ")}`,
        `import { createRequire as __createRequire } from "node:module";`,
        `import { dirname as __dirnameOf } from "node:path";`,
        `import { fileURLToPath as __toPath } from "node:url";`,
        "const require = __createRequire(import.meta.url);",
        "const __filename = __toPath(import.meta.url);",
        "const __dirname = __dirnameOf(__filename);",
      ].join("\n"),
    },
    plugins: [bindingBesideBundle, httpRequired],
  };
}

/** The files of the status page, in the folder of the bundle: `PAGE_FOLDER`. */
const PAGE = "ui";

/** Makes the agent, the bundle and what must lie beside it, in a folder that is there. */
export async function buildAgent(folder: string, plugins: readonly Plugin[] = []): Promise<void> {
  await buildPage(join(folder, PAGE), plugins);
  const outfile = join(folder, "kube-ipvs.mjs");
  const options = bundling("src/main.ts", outfile);
  await build({ ...options, plugins: [...(options.plugins ?? []), ...plugins] });
  await chmod(outfile, 0o755);
  for (const platform of PLATFORMS)
    await copyFile(
      `node_modules/netlink/prebuilds/${platform}/node.napi.node`,
      join(folder, `netlink.${platform}.node`),
    );
}

/** `node build.ts [FOLDER]` */
if (import.meta.main) {
  const [, , folder = "dist"] = process.argv;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await buildAgent(folder, [materials()]);
  await writeBillOfMaterials(folder, [join(folder, PAGE)]);
}
