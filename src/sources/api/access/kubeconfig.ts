import { access, stat } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { abortable } from "../transport/abortable.ts";
import type { Headers } from "../transport/connection.ts";
import { reasonOf } from "../transport/reason.ts";
import { CredentialsError } from "../transport/transport.ts";
import { type AccessConfig, kubeconfigAccess, NO_CREDENTIALS } from "./access-config.ts";
import { CredentialSources, type SourceParts } from "./credential-sources.ts";
import { readRegularFile } from "./regular-file.ts";

export interface ClusterAccess {
  /** Path of a kubeconfig; "" for none: then the service account of the pod this is, else nobody's credentials. */
  readonly kubeconfig: string;
  /** URLs that take the place of the one in the configuration, the preferred first. */
  readonly servers: readonly string[];
  /** Where the files of a pod's service account are found below; "" but in tests. */
  readonly root: string;
  /** The variables of this process: of a pod, and for exec plugins. */
  readonly env: NodeJS.ProcessEnv;
}

/** What TLS needs. A change of any of it asks for a new connection. */
export interface TlsMaterial {
  /** "" for the authorities that this system trusts. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Name or address to find in the certificate; "" for the host of the URL. */
  readonly serverName: string;
  readonly verify: boolean;
}

export interface Credentials {
  /** Authorization and impersonation. */
  readonly headers: Headers;
  readonly tls: TlsMaterial;
}

/**
 * Server addresses and credentials, by the rules of client-go: service account, kubeconfig, client certificates, token files,
 * exec plugins. What rotates is read again, and what cannot be read then is used as it last was.
 */
export class ApiServerConfig {
  readonly servers: readonly URL[];
  readonly #access: ClusterAccess;
  readonly #parts: SourceParts;
  #sources: CredentialSources;
  /** Changes whenever the kubeconfig does. */
  #stamp: string;
  #reloading: Promise<void> | undefined;

  private constructor(access: ClusterAccess, parts: SourceParts, config: AccessConfig, stamp: string) {
    this.#access = access;
    this.#parts = parts;
    this.#stamp = stamp;
    this.servers = access.servers.length > 0 ? access.servers.map((url) => new URL(url)) : [serverUrl(config)];
    this.#sources = this.#sourcesOf(config);
  }

  /** Throws when the configuration cannot be read, is none, or wants what is not supported (a proxy). */
  static async load(access: ClusterAccess, parts: Omit<SourceParts, "env">): Promise<ApiServerConfig> {
    const stamp = await stampOf(access.kubeconfig);
    const config = access.kubeconfig === "" ? await podAccess(access) : await readKubeconfig(access.kubeconfig);
    return new ApiServerConfig(access, { ...parts, env: access.env }, config, stamp);
  }

  /**
   * Read anew as far as needed. Rejects with a CredentialsError, which may be over soon. What is under way when the signal is
   * aborted goes on, for the next who needs it.
   */
  async credentials(signal: AbortSignal): Promise<Credentials> {
    try {
      return await abortable(this.#current(), signal);
    } catch (error) {
      const { waitsFor } = this.#sources;
      const reason = signal.aborted
        ? `Cannot get credentials in time: ${waitsFor} has not answered yet`
        : reasonOf(error);
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

  /** The server did not accept these: reads again what they came from, unless that has been done meanwhile. */
  async renew(refused: Credentials): Promise<void> {
    this.#sources.refuse(refused);
  }

  /** A kubeconfig that cannot be used any more is no reason to lose what it said before. */
  async #reload(): Promise<void> {
    const { kubeconfig } = this.#access;
    if (kubeconfig === "") return;
    try {
      const stamp = await stampOf(kubeconfig);
      if (stamp === this.#stamp) return;
      this.#stamp = stamp;
      this.#sources = this.#sourcesOf(await readKubeconfig(kubeconfig));
    } catch (error) {
      this.#parts.logger.warn(
        { reason: reasonOf(error) },
        "kubeconfig cannot be read again; what it said before stays in use",
      );
    }
  }

  #sourcesOf(config: AccessConfig): CredentialSources {
    return new CredentialSources(config, String(this.servers[0] ?? "").replace(/\/$/, ""), this.#parts);
  }
}

const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** As a pod: `--master` says where to go, not as whom. Outside of a pod nobody's credentials are used. */
async function podAccess({ servers, root, env }: ClusterAccess): Promise<AccessConfig> {
  const path = (file: string) => join(root === "" ? "/" : root, ACCOUNT, file);
  if (servers.length > 0 && !(await exists(path("token")))) return NO_CREDENTIALS;
  const { KUBERNETES_SERVICE_HOST: host = "", KUBERNETES_SERVICE_PORT: port = "" } = env;
  if (servers.length === 0 && (host === "" || port === ""))
    throw new Error(
      "Cannot find an API server: no kubeconfig is given, and this is no pod: KUBERNETES_SERVICE_HOST is not set or has no KUBERNETES_SERVICE_PORT",
    );
  const label = (file: string) => `${file} of the service account "${path(file)}"`;
  return {
    ...NO_CREDENTIALS,
    // Whatever its port: client-node takes 80 and 8080 for a server without TLS.
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    clusterLabel: "the cluster around this pod",
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
    throw new Error(`Cannot use server of ${clusterLabel}: it must not hold credentials: they belong to the user`);
  return url;
}

/** A URL that cannot be read may hold a password all the same. */
function withoutLogin(url: string): string {
  return url.replace(/^(.*\/\/)?.*@/s, "$1…@");
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** "" without a kubeconfig. A mounted one is replaced by another file, which may be as old and as long. */
async function stampOf(path: string): Promise<string> {
  if (path === "") return "";
  const { mtimeMs, ino, size } = await stat(path).catch((error: unknown) => unreadable(path, error));
  return `${mtimeMs} ${ino} ${size}`;
}

function unreadable(path: string, error: unknown): never {
  throw new Error(`Cannot read kubeconfig "${path}": ${reasonOf(error)}`, { cause: error });
}
