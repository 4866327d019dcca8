import { access, readFile, stat } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { dirname, isAbsolute, join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node/dist/config.js";
import { parse } from "yaml";
import { field, isJsonObject, type JsonObject } from "../services/object-reader.ts";

export interface ClusterAccess {
  /** Path of a kubeconfig; "" for none: then the service account of the pod this is, else nobody's credentials. */
  readonly kubeconfig: string;
  /** URLs that take the place of the one in the configuration, the preferred first. */
  readonly servers: readonly string[];
  /** Where the files of a pod's service account are found below; "" but in tests. */
  readonly root: string;
}

/** What TLS needs. A change of any of it asks for a new connection. */
export interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Name to ask for and to find in the certificate; "" for the host of the URL. */
  readonly serverName: string;
  readonly verify: boolean;
}

export interface Credentials {
  /** Authorization and impersonation. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

/**
 * Server addresses and credentials, by client-node's KubeConfig: service account, kubeconfig, client certificates, exec
 * plugins. It reads certificates whenever asked and a token file once a minute, as client-go does; an exec plugin runs
 * again when what it gave expires.
 */
export class ApiServerConfig {
  readonly servers: readonly URL[];
  readonly #access: ClusterAccess;
  #kubeConfig: KubeConfig;
  #changedAtMs: number;

  private constructor(access: ClusterAccess, loaded: Loaded) {
    this.#access = access;
    this.#kubeConfig = loaded.kubeConfig;
    this.#changedAtMs = loaded.changedAtMs;
    this.servers = access.servers.length > 0 ? access.servers.map((url) => new URL(url)) : [loaded.server];
  }

  /** Throws when the configuration cannot be read, is none, or wants what is not supported (a proxy). */
  static async load(access: ClusterAccess): Promise<ApiServerConfig> {
    return new ApiServerConfig(access, await load(access));
  }

  /** Read anew as far as needed. Rejects when a file is missing or a plugin fails, which may be over soon. */
  async credentials(): Promise<Credentials> {
    if ((await changeTime(this.#access.kubeconfig)) !== this.#changedAtMs) await this.renew();
    const options: RequestOptions = {};
    await this.#kubeConfig.applyToHTTPSOptions(options).catch((error: unknown) => {
      // An exec plugin that fails without a word is an error without a message.
      const reason = error instanceof Error && error.message !== "" ? error.message.trim() : "the exec plugin failed";
      throw new Error(`Cannot get credentials: ${reason}`, { cause: error });
    });
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {}))
      headers[name.toLowerCase()] = String(value).trim();
    if (options.auth)
      Object.assign(headers, { authorization: `Basic ${Buffer.from(options.auth).toString("base64")}` });
    return {
      headers,
      tls: {
        ca: text(options.ca),
        cert: text(options.cert),
        key: text(options.key),
        serverName: options.servername ?? "",
        verify: options.rejectUnauthorized !== false,
      },
    };
  }

  /** Forgets tokens and what exec plugins gave: the server did not accept them. */
  async renew(): Promise<void> {
    const loaded = await load(this.#access);
    this.#kubeConfig = loaded.kubeConfig;
    this.#changedAtMs = loaded.changedAtMs;
  }
}

/** Made for people at a keyboard, replaced by exec plugins; client-go has dropped the last two. */
const UNSUPPORTED_PROVIDERS: ReadonlySet<string> = new Set(["oidc", "azure", "gcp"]);

interface Loaded {
  readonly kubeConfig: KubeConfig;
  readonly server: URL;
  /** Of the kubeconfig, in ms; 0 without one. */
  readonly changedAtMs: number;
}

async function load(options: ClusterAccess): Promise<Loaded> {
  // Imported when needed: it takes 30 MB, and an agent that reads manifests has no use for it.
  const { KubeConfig } = await import("@kubernetes/client-node/dist/config.js");
  const kubeConfig = new KubeConfig();
  const changedAtMs = await changeTime(options.kubeconfig);
  const [master] = options.servers;
  if (options.kubeconfig !== "") {
    kubeConfig.loadFromString(JSON.stringify(await readKubeconfig(options.kubeconfig)));
    kubeConfig.makePathsAbsolute(dirname(options.kubeconfig));
  } else if (master === undefined || (await isPod(options.root))) {
    kubeConfig.loadFromCluster(options.root);
  } else {
    const cluster = { name: "master", server: master, skipTLSVerify: isPlain(master) };
    kubeConfig.loadFromClusterAndUser(cluster, { name: "nobody" });
  }
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster?.proxyUrl) throw new Error(`Cannot use "${options.kubeconfig}": proxy-url is not supported`);
  const provider = kubeConfig.getCurrentUser()?.authProvider?.name ?? "";
  if (UNSUPPORTED_PROVIDERS.has(provider))
    throw new Error(
      `Cannot use "${options.kubeconfig}": auth-provider "${provider}" is not supported; use an exec plugin, a token file or client certificates`,
    );
  return { kubeConfig, server: serverUrl(master ?? cluster?.server, options), changedAtMs };
}

/** Whether there is a service account. With it `--master` says where to go, not as whom. */
async function isPod(root: string): Promise<boolean> {
  return await access(join(root, "/var/run/secrets/kubernetes.io/serviceaccount/token")).then(
    () => true,
    () => false,
  );
}

function serverUrl(server: string | undefined, access: ClusterAccess): URL {
  // What client-node makes of an environment without KUBERNETES_SERVICE_HOST.
  if (server === undefined || server.includes("//undefined:")) {
    const where =
      access.kubeconfig === "" ? "this is no pod: KUBERNETES_SERVICE_HOST is not set" : "no current cluster";
    throw new Error(`Cannot find an API server in "${access.kubeconfig}": ${where}`);
  }
  const url = URL.parse(server);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new Error(`Cannot use "${access.kubeconfig}": server "${server}" is not an https or http URL`);
  return url;
}

/** The document with what KubeConfig does not understand said in its words. */
async function readKubeconfig(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((error: unknown) => unreadable(path, error));
  const document = parsed(path, text);
  if (!isJsonObject(document)) throw new Error(`Cannot use "${path}": no kubeconfig`);
  return {
    ...document,
    clusters: entries(document, "clusters").map((entry) => mapped(entry, "cluster", withPlainServer)),
    users: entries(document, "users").map((entry) => mapped(entry, "user", (user) => withTokenFile(user, path))),
  };
}

function parsed(path: string, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    return unreadable(path, error);
  }
}

function entries(document: JsonObject, key: string): readonly unknown[] {
  const list = field(document, key);
  return Array.isArray(list) ? list : [];
}

function mapped(entry: unknown, key: string, map: (value: JsonObject) => JsonObject): unknown {
  const value = field(entry, key);
  return isJsonObject(entry) && isJsonObject(value) ? { ...entry, [key]: map(value) } : entry;
}

/** Without, it refuses to say anything about a server without TLS; no credentials are sent to one. */
function withPlainServer(cluster: JsonObject): JsonObject {
  const server = field(cluster, "server");
  return isPlain(String(server)) ? { ...cluster, "insecure-skip-tls-verify": true } : cluster;
}

/** kubeadm's kubeconfig of kube-proxy names a token file, which rotates; it goes before a token, as in client-go. */
function withTokenFile(user: JsonObject, path: string): JsonObject {
  const { tokenFile: file, ...rest } = user;
  if (typeof file !== "string") return withExecInfo(user);
  const tokenFile = isAbsolute(file) ? file : join(dirname(path), file);
  return { ...rest, token: undefined, "auth-provider": { name: "tokenFile", config: { tokenFile } } };
}

/** Plugins ask this variable which version of the protocol is meant. */
function withExecInfo(user: JsonObject): JsonObject {
  const exec = field(user, "exec");
  if (!isJsonObject(exec)) return user;
  const info = { apiVersion: field(exec, "apiVersion"), kind: "ExecCredential", spec: { interactive: false } };
  const env = [...entries(exec, "env"), { name: "KUBERNETES_EXEC_INFO", value: JSON.stringify(info) }];
  return { ...user, exec: { ...exec, env } };
}

function isPlain(server: string): boolean {
  return server.startsWith("http:");
}

async function changeTime(path: string): Promise<number> {
  return path === "" ? 0 : (await stat(path).catch((error: unknown) => unreadable(path, error))).mtimeMs;
}

function unreadable(path: string, error: unknown): never {
  const reason = error instanceof Error ? error.message : String(error);
  throw new Error(`Cannot read kubeconfig "${path}": ${reason}`, { cause: error });
}

/** KubeConfig gives one PEM text or buffer each. */
function text(pem: unknown): string {
  return pem === undefined || pem === null ? "" : String(pem);
}
