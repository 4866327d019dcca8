import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/**
 * A volume of a ConfigMap or Secret as the kubelet keeps it: each version in a folder of its own, and links through one
 * name that is replaced at once, so that a reader never sees half of a version.
 */
export class VolumeFolder implements AsyncDisposable {
  readonly path: string;
  #version = 0;

  private constructor(path: string) {
    this.path = path;
  }

  /** In a new folder whose path begins with the prefix; the files have the given texts. */
  static async create(prefix: string, files: Readonly<Record<string, string>>): Promise<VolumeFolder> {
    const volume = new VolumeFolder(await mkdtemp(prefix));
    await volume.replace(files);
    for (const file of Object.keys(files)) await symlink(`..data/${file}`, join(volume.path, file));
    return volume;
  }

  /** As when the ConfigMap is changed or the token rotates; with the files of `create`. */
  async replace(files: Readonly<Record<string, string>>): Promise<void> {
    const before = `..version-${this.#version}`;
    this.#version++;
    const now = `..version-${this.#version}`;
    await mkdir(join(this.path, now));
    for (const [file, text] of Object.entries(files)) await writeFile(join(this.path, now, file), text);
    await symlink(now, join(this.path, "..data_tmp"));
    await rename(join(this.path, "..data_tmp"), join(this.path, "..data"));
    await rm(join(this.path, before), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}
