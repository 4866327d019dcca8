import { VolumeFolder } from "./volume-folder.ts";

/** Where every pod finds its service account. */
export const ACCOUNT_PATH = "/run/secrets/kubernetes.io/serviceaccount";

/** What the kubelet puts there. */
export interface Account {
  readonly token: string;
  /** PEM. */
  readonly authority: string;
  readonly namespace: string;
}

/** The files of a service account, with a token that rotates. */
export class AccountFolder implements AsyncDisposable {
  readonly #volume: VolumeFolder;

  private constructor(volume: VolumeFolder) {
    this.#volume = volume;
  }

  static async create(account: Account): Promise<AccountFolder> {
    return new AccountFolder(await VolumeFolder.create("/run/kube-ipvs-account-", filesOf(account)));
  }

  get path(): string {
    return this.#volume.path;
  }

  /** As when the token rotates. */
  async replace(account: Account): Promise<void> {
    await this.#volume.replace(filesOf(account));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#volume[Symbol.asyncDispose]();
  }
}

function filesOf({ token, authority, namespace }: Account): Readonly<Record<string, string>> {
  return { token, "ca.crt": authority, namespace };
}
