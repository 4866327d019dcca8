import { access, stat } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { abortable } from "../transport/abortable.ts";
import type { Headers } from "../transport/connection.ts";
import { reasonOf } from "../transport/reason.ts";
import { CredentialsError } from "../transport/transport.ts";
import { type AccessConfig, kubeconfigAccess, NO_CREDENTIALS } from "./access-config.ts";
import { type CredentialDependencies, CredentialSources } from "./credential-sources.ts";
import { readRegularFile } from "./regular-file.ts";

export interface ClusterAccess {
  /** The path of a kubeconfig; "" for none. Then the service account of the pod is used, if there is one. */
  readonly kubeconfig: string;
  /** URLs to use instead of the one in the configuration, the preferred one first. */
  readonly servers: readonly string[];
  /** The root folder of the files of the service account; "" except in tests. */
  readonly root: string;
  /** The environment variables of this process. Exec plugins inherit them. */
  readonly env: NodeJS.ProcessEnv;
}

/** The options of a TLS connection. A change of any of them needs a new connection. */
export interface TlsMaterial {
  /** "" for the authorities of the system. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** The name or address that the certificate must have; "" for the host of the URL. */
  readonly serverName: string;
  readonly verify: boolean;
}

export interface Credentials {
  /** The headers of authorization and impersonation. */
  readonly headers: Headers;
  readonly tls: TlsMaterial;
}

/**
 * The API servers and the credentials, by the rules of client-go: service account, kubeconfig, client certificates, token
 * files and exec plugins. Files that change are read again. If that fails, the last valid content stays in use.
 */
export class ApiServerConfig {
  readonly servers: readonly URL[];
  readonly #access: ClusterAccess;
  readonly #dependencies: CredentialDependencies;
  #sources: CredentialSources;
  /** Changes if the kubeconfig changes. */
  #stamp: string;
  #reloading: Promise<void> | undefined;

  private constructor(
    access: ClusterAccess,
    dependencies: CredentialDependencies,
    config: AccessConfig,
    stamp: string,
  ) {
    this.#access = access;
    this.#dependencies = dependencies;
    this.#stamp = stamp;
    this.servers = access.servers.length > 0 ? access.servers.map((url) => new URL(url)) : [serverUrl(config)];
    this.#sources = this.#sourcesOf(config);
  }

  /** Loads the configuration. Throws if it cannot be read, is invalid, or uses an unsupported feature (a proxy). */
  static async load(
    access: ClusterAccess,
    dependencies: Omit<CredentialDependencies, "env">,
  ): Promise<ApiServerConfig> {
    const stamp = await stampOf(access.kubeconfig);
    const config = access.kubeconfig === "" ? await podAccess(access) : await readKubeconfig(access.kubeconfig);
    return new ApiServerConfig(access, { ...dependencies, env: access.env }, config, stamp);
  }

  /**
   * The current credentials. Their sources are read again when needed. Rejects with a CredentialsError; a later call may
   * succeed. A read that is under way when the signal is aborted continues, and its result serves the next call.
   */
  async credentials(signal: AbortSignal): Promise<Credentials> {
    try {
      return await abortable(this.#current(), signal);
    } catch (error) {
      const { waitsFor } = this.#sources;
      const reason = signal.aborted ? `Cannot get credentials in time: still waiting for ${waitsFor}` : reasonOf(error);
      throw new CredentialsError(reason, { cause: error });
    }
  }

  async #current(): Promise<Credentials> {
    this.#reloading ??= this.#reload().finally(() => {
      this.#reloading = undefined;
    });
    await this.#reloading;
    return await this.#sources.current();
  }

  /** Reads the sources of these credentials again, because the server refused them. Ignores earlier credentials. */
  async renew(refused: Credentials): Promise<void> {
    this.#sources.refuse(refused);
  }

  /** Reads a changed kubeconfig. If it cannot be used, the last valid content stays in use. */
  async #reload(): Promise<void> {
    const { kubeconfig } = this.#access;
    if (kubeconfig === "") return;
    try {
      const stamp = await stampOf(kubeconfig);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      this.#sources = this.#sourcesOf(await readKubeconfig(kubeconfig));
    } catch (error) {
      this.#dependencies.logger.warn(
        { reason: reasonOf(error) },
        "cannot reload the kubeconfig; still using its last valid content",
      );
    }
  }

  #sourcesOf(config: AccessConfig): CredentialSources {
    return new CredentialSources(config, String(this.servers[0] ?? "").replace(/\/$/, ""), this.#dependencies);
  }
}

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The access with the service account of the pod, also with `--master`. Outside of a pod there are no credentials. */
async function podAccess({ servers, root, env }: ClusterAccess): Promise<AccessConfig> {
  const path = (file: string) => join(root === "" ? "/" : root, ACCOUNT, file);
  if (servers.length > 0 && !(await exists(path("token")))) return NO_CREDENTIALS;
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "" } = env;
  if (servers.length === 0 && (host === "" || port === ""))
    throw new Error(
      "Cannot find an API server: no kubeconfig is given, and there is no service account of a pod: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is not set",
    );
  const label = (file: string) => `${file} of the service account "${path(file)}"`;
  return {
    ...NO_CREDENTIALS,
    // Always https. (client-node uses http for the ports 80 and 8080.)
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    clusterLabel: "the cluster of this pod",
    authority: { label: label("ca.crt"), path: path("ca.crt"), inline: "" },
    tokenFile: { label: label("token"), path: path("token") },
  };
}

async function readKubeconfig(path: string): Promise<AccessConfig> {
  const text = await readRegularFile(path).catch((error: unknown) => unreadable(path, error));
  return kubeconfigAccess(path, text);
}

function serverUrl({ server, clusterLabel }: AccessConfig): URL {
  const url = URL.parse(server);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new Error(`Cannot use server of ${clusterLabel}: "${withoutLogin(server)}" is not an https or http URL`);
  if (url.username !== "" || url.password !== "")
    throw new Error(`Cannot use server of ${clusterLabel}: it must not contain credentials: put them into the user`);
  return url;
}

/** The URL without user and password. An invalid URL may contain a password too. */
function withoutLogin(url: string): string {
  return url.replace(/^(.*\/\/)?.*@/s, "$1…@");
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Changes if the file changes; "" without a kubeconfig. Has the inode, because a new file may have the same time and size. */
async function stampOf(path: string): Promise<string> {
  if (path === "") return "";
  const { mtimeMs, ino, size } = await stat(path).catch((error: unknown) => unreadable(path, error));
  return `${mtimeMs} ${ino} ${size}`;
}

function unreadable(path: string, error: unknown): never {
  throw new Error(`Cannot read kubeconfig "${path}": ${reasonOf(error)}`, { cause: error });
}
