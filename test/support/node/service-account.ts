import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Where every pod finds its service account. */
export const ACCOUNT_PATH = "/run/secrets/kubernetes.io/serviceaccount";

/** What the kubelet puts there. */
export interface Account {
  readonly token: string;
  /** PEM. */
  readonly authority: string;
  readonly namespace: string;
}

/**
 * The files of a service account as the kubelet keeps them: each version in a folder of its own, and links through one
 * name that is replaced at once, so that a reader never sees half of a version.
 */
export class AccountFolder implements AsyncDisposable {
  readonly path: string;
  #version = 0;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(account: Account): Promise<AccountFolder> {
    const made = new AccountFolder(await mkdtemp("/run/kube-ipvs-account-"));
    await made.replace(account);
    for (const file of ["token", "ca.crt", "namespace"]) await symlink(`..data/${file}`, join(made.path, file));
    return made;
  }

  /** As when the token rotates. */
  async replace({ token, authority, namespace }: Account): Promise<void> {
    const before = `..version-${this.#version}`;
    this.#version++;
    const now = `..version-${this.#version}`;
    await mkdir(join(this.path, now));
    await writeFile(join(this.path, now, "token"), token);
    await writeFile(join(this.path, now, "ca.crt"), authority);
    await writeFile(join(this.path, now, "namespace"), namespace);
    await symlink(now, join(this.path, "..data_tmp"));
    await rename(join(this.path, "..data_tmp"), join(this.path, "..data"));
    await rm(join(this.path, before), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}
