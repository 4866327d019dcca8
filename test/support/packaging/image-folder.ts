import { globSync } from "node:fs";
import { join } from "node:path";
import { output } from "../node/namespace.ts";

const CACHE = join(import.meta.dirname, "../../../.cache");

/** An image as build.sh leaves it in a folder. */
export class ImageFolder {
  /** The OCI archive. */
  readonly archive: string;
  /** What is in it: the root file system of a container. */
  readonly root: string;

  constructor(folder: string) {
    this.archive = join(folder, "kube-ipvs.tar");
    this.root = join(folder, "rootfs");
  }

  /** The paths of all regular files. */
  files(): readonly string[] {
    const entries = globSync("**", { cwd: this.root, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  }

  /** The manifest and the configuration. */
  async config() {
    const { manifests } = JSON.parse(await this.#file("index.json"));
    const manifest = JSON.parse(await this.#blob(manifests[0].digest));
    return { manifest, config: JSON.parse(await this.#blob(manifest.config.digest)) };
  }

  #blob(digest: string): Promise<string> {
    return this.#file(`blobs/sha256/${digest.replace("sha256:", "")}`);
  }

  #file(path: string): Promise<string> {
    return output(["tar", "-xOf", this.archive, `./${path}`]);
  }
}

/** The image for this machine, where run.sh builds it. */
export const BUILT_IMAGE = new ImageFolder(join(CACHE, "image"));
export const IMAGE_ROOT = BUILT_IMAGE.root;

/** The image for arm64, which `npm run image` builds on any machine. */
export const ARM64_IMAGE = new ImageFolder(join(CACHE, "image-arm64"));
