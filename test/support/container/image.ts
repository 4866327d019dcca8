import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { output } from "../node/namespace.ts";
import { IMAGE_ROOT } from "../packaging/image-folder.ts";
import { BUNDLE } from "../run/bundle.ts";
import { bindMount, type OciMount } from "./oci-config.ts";

/** The programs that docs/installation.md requires of an image, and `env`, which the first line of the bundle names. */
const PROGRAMS = ["env", "ip", "kmod", "setpriv", "xtables-legacy-multi", "xtables-nft-multi"];
const IPTABLES = ["iptables", "ip6tables"].flatMap((name) => ["", "-save", "-restore"].map((suffix) => [name, suffix]));
const NODE_IN_IMAGE = "/usr/local/bin/node";

/** What containers are made of. */
export interface ContainerImage {
  /** The folder of its files. */
  readonly path: string;
  readonly mounts: readonly OciMount[];
  /** The variables of every container of the image. */
  readonly env: Readonly<Record<string, string>>;
}

/** The image that `npm run image` has built from packaging/image/Dockerfile. */
export function builtImage(): ContainerImage {
  if (!existsSync(IMAGE_ROOT)) throw new Error("There is no image: npm run image builds it");
  return { path: IMAGE_ROOT, mounts: [], env: { PATH: "/usr/sbin:/usr/bin" } };
}

/**
 * The root file system of a container: the bundle, Node and the required programs of this machine with their libraries, and
 * nothing else. As in Debian, the plain names of iptables are the nft variant.
 */
export class Image implements ContainerImage, AsyncDisposable {
  readonly path: string;
  /** Node is mounted and not copied: it has 150 MB. */
  readonly mounts: readonly OciMount[] = [bindMount(process.execPath, NODE_IN_IMAGE, "ro")];
  /** The variables of every container of the image. */
  readonly env: Readonly<Record<string, string>> = { PATH: "/usr/local/bin:/usr/sbin:/usr/bin" };

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<Image> {
    const image = new Image(await mkdtemp("/run/kube-ipvs-image-"));
    await image.#makeFolders();
    await image.#copyPrograms();
    await image.#addBundle();
    return image;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true });
  }

  async #makeFolders(): Promise<void> {
    for (const folder of [
      "run",
      "usr/bin",
      "usr/sbin",
      "usr/lib",
      "usr/lib64",
      "usr/local/bin",
      "usr/local/lib",
      "var",
    ])
      await mkdir(join(this.path, folder), { recursive: true });
    for (const folder of ["bin", "sbin", "lib", "lib64"]) await symlink(`usr/${folder}`, join(this.path, folder));
    await symlink("../run", join(this.path, "var/run"));
  }

  async #copyPrograms(): Promise<void> {
    const search = { PATH: "/usr/sbin:/usr/bin" };
    const paths = (await output(["env", `PATH=${search.PATH}`, "which", ...PROGRAMS])).trim().split("\n");
    const libraries = (await output(["ldd", process.execPath, ...paths])).match(/\/\S+(?= \(0x)/g) ?? [];
    const plugins = (await output(["sh", "-c", "echo /usr/lib/*/xtables"])).trim();
    await output(["cp", "-rL", "--parents", ...new Set([...paths, ...libraries, plugins]), this.path]);
    await symlink("../bin/kmod", join(this.path, "usr/sbin/modprobe"));
    for (const [name, suffix] of IPTABLES) {
      await symlink("xtables-legacy-multi", join(this.path, `usr/sbin/${name}-legacy${suffix}`));
      for (const infix of ["", "-nft"])
        await symlink("xtables-nft-multi", join(this.path, `usr/sbin/${name}${infix}${suffix}`));
    }
  }

  async #addBundle(): Promise<void> {
    const folder = join(this.path, "usr/local/lib/kube-ipvs");
    await cp(dirname(BUNDLE), folder, { recursive: true });
    await symlink(`../lib/kube-ipvs/${basename(BUNDLE)}`, join(this.path, "usr/local/bin/kube-ipvs"));
  }
}
