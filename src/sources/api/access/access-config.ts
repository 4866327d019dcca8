import { dirname, isAbsolute, join } from "node:path";
import { field } from "../../decode/object-reader.ts";
import type { Headers } from "../transport/connection.ts";
import { type ExecConfig, readExecConfig } from "./exec-credential.ts";
import { headerText } from "./header-text.ts";
import { type KubeconfigUser, readCurrentContext } from "./kubeconfig-file.ts";
import type { PemSource } from "./pem.ts";

/** A file and its description for errors. */
export interface NamedFile {
  readonly label: string;
  readonly path: string;
}

/** The API server and the sources of credentials. The files and plugins that it names are not read yet. */
export interface AccessConfig {
  /** "" if unknown. */
  readonly server: string;
  /** The name of the cluster in errors. */
  readonly clusterLabel: string;
  readonly authority: PemSource | undefined;
  readonly tlsServerName: string;
  readonly verify: boolean;
  /** The configuration of the cluster for exec plugins that request it. */
  readonly execExtension: unknown;
  /** The headers of impersonation. */
  readonly headers: Headers;
  /** The Authorization header from the kubeconfig itself; "" for none. */
  readonly authorization: string;
  /** Takes precedence over `authorization`. */
  readonly tokenFile: NamedFile | undefined;
  readonly clientCert: PemSource | undefined;
  readonly clientKey: PemSource | undefined;
  readonly exec: ExecConfig | undefined;
}

export const NO_CREDENTIALS: AccessConfig = {
  server: "",
  clusterLabel: "",
  authority: undefined,
  tlsServerName: "",
  verify: true,
  execExtension: undefined,
  headers: {},
  authorization: "",
  tokenFile: undefined,
  clientCert: undefined,
  clientKey: undefined,
  exec: undefined,
};

/**
 * Reads a kubeconfig by the rules of client-go: inline data takes precedence over a file, a token file over a token, both
 * over an exec plugin, and relative paths start at the folder of the kubeconfig. Throws for fields that client-go refuses
 * or that are not supported. The error names file, object and field.
 */
export function kubeconfigAccess(path: string, text: string): AccessConfig {
  const context = readCurrentContext(path, text);
  const { cluster, clusterName: where, user, userName } = context;
  const resolve = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file));
  if (cluster.proxyUrl) throw new Error(`Cannot use proxy-url of ${where}: proxies are not supported`);
  const authority = pemSource("certificate-authority", where, cluster.caData, cluster.caFile, resolve);
  // client-go refuses this too, because the two fields contradict each other.
  if (cluster.skipTLSVerify && authority !== undefined)
    throw new Error(`Cannot use ${where}: insecure-skip-tls-verify and certificate-authority cannot be used together`);
  return {
    ...NO_CREDENTIALS,
    server: cluster.server,
    clusterLabel: where,
    authority,
    tlsServerName: cluster.tlsServerName ?? "",
    verify: !cluster.skipTLSVerify,
    execExtension: context.execExtension,
    ...(user === undefined ? {} : userAccess(user, userName, resolve)),
  };
}

type UserAccess = Pick<AccessConfig, "headers" | "authorization" | "tokenFile" | "clientCert" | "clientKey" | "exec">;

function userAccess(user: KubeconfigUser, where: string, resolve: (path: string) => string): UserAccess {
  refuseProvider(user, where);
  const clientCert = pemSource("client-certificate", where, user.certData, user.certFile, resolve);
  const clientKey = pemSource("client-key", where, user.keyData, user.keyFile, resolve);
  if (clientCert !== undefined && clientKey === undefined)
    throw new Error(`Cannot use client-certificate of ${where}: there is neither client-key nor client-key-data`);
  const { tokenFile } = user;
  return {
    headers: impersonation(user, where),
    authorization: authorization(user, where),
    tokenFile: tokenFile === "" ? undefined : named("tokenFile", where, resolve(tokenFile)),
    clientCert,
    clientKey,
    exec: user.exec === undefined ? undefined : readExecConfig(user.exec, where, resolve),
  };
}

function refuseProvider({ authProvider }: KubeconfigUser, where: string): void {
  if (!authProvider) return;
  throw new Error(
    `Cannot use auth-provider of ${where}: "${field(authProvider, "name") ?? ""}" is not supported; use an exec plugin, a token file or client certificates`,
  );
}

function authorization({ token, tokenFile, username, password }: KubeconfigUser, where: string): string {
  if (username && (token || tokenFile))
    throw new Error(`Cannot use ${where}: username and token cannot be used together`);
  if (username) return `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}`;
  return token ? bearer(headerText(token, `token of ${where}`)) : "";
}

/** The Authorization header of a token; "" without a token. */
export function bearer(token: string): string {
  return token === "" ? "" : `Bearer ${token}`;
}

function impersonation(user: KubeconfigUser, where: string): Headers {
  const { impersonateUser: as, impersonateUid: uid, impersonateGroups: groups } = user;
  const extra = Object.entries(user.impersonateExtra);
  if (!as && (uid !== "" || groups.length > 0 || extra.length > 0))
    throw new Error(`Cannot use ${where}: as-uid, as-groups and as-user-extra require the field as`);
  const text = (name: string, value: string) => headerText(value, `${name} of ${where}`);
  return {
    ...(as ? { "impersonate-user": text("as", as) } : {}),
    ...(uid === "" ? {} : { "impersonate-uid": text("as-uid", uid) }),
    ...(groups.length === 0 ? {} : { "impersonate-group": groups.map((group) => text("as-groups", group)) }),
    ...Object.fromEntries(
      extra.map(([key, values]) => [
        `impersonate-extra-${headerName(key)}`,
        values.map((value) => text("as-user-extra", value)),
      ]),
    ),
  };
}

/** The key as a part of a header name. Other characters are percent-encoded as in client-go, and the server decodes them. */
function headerName(key: string): string {
  return encodeURIComponent(key).replaceAll("(", "%28").replaceAll(")", "%29").toLowerCase();
}

function pemSource(
  name: string,
  where: string,
  data: string | undefined,
  file: string | undefined,
  resolve: (path: string) => string,
): PemSource | undefined {
  if (data) return { label: `${name}-data of ${where}`, path: "", inline: Buffer.from(data, "base64").toString() };
  return file ? { ...named(name, where, resolve(file)), inline: "" } : undefined;
}

/** A file of a kubeconfig with its description. */
function named(name: string, where: string, path: string): NamedFile {
  return { label: `${name} "${path}" of ${where}`, path };
}
