import { dirname, isAbsolute, join } from "node:path";
import { field } from "../../decode/object-reader.ts";
import type { Headers } from "../transport/connection.ts";
import { type ExecConfig, readExecConfig } from "./exec-credential.ts";
import { headerText } from "./header-text.ts";
import { type KubeconfigUser, readCurrentContext } from "./kubeconfig-file.ts";
import type { PemSource } from "./pem.ts";

/** A file and its name in errors. */
export interface NamedFile {
  readonly label: string;
  readonly path: string;
}

/** Where the API server is, and where credentials come from. Nothing has been read yet but the kubeconfig itself. */
export interface AccessConfig {
  /** "" when unknown. */
  readonly server: string;
  /** Names the cluster in errors. */
  readonly clusterLabel: string;
  readonly authority: PemSource | undefined;
  readonly tlsServerName: string;
  readonly verify: boolean;
  /** Given to exec plugins that want it. */
  readonly execExtension: unknown;
  /** Impersonation. */
  readonly headers: Headers;
  /** A header, as far as it is in the kubeconfig itself; "" for none. */
  readonly authorization: string;
  /** Goes before `authorization`. */
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
 * What a kubeconfig wants, by client-go's rules: inline data goes before a file, a token file before a token, both before an
 * exec plugin, and relative paths start at the folder of the kubeconfig. Throws for what client-go refuses, and for what is
 * not supported, with file, object and field.
 */
export function kubeconfigAccess(path: string, text: string): AccessConfig {
  const context = readCurrentContext(path, text);
  const { cluster, clusterName: where, user, userName } = context;
  const resolve = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file));
  if (cluster.proxyUrl) throw new Error(`Cannot use proxy-url of ${where}: proxies are not supported`);
  const authority = pemSource("certificate-authority", where, cluster.caData, cluster.caFile, resolve);
  // As client-go: it cannot be known what is meant.
  if (cluster.skipTLSVerify && authority !== undefined)
    throw new Error(`Cannot use ${where}: insecure-skip-tls-verify and a certificate-authority exclude each other`);
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
    throw new Error(`Cannot use ${where}: a username and a token exclude each other`);
  if (username) return `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}`;
  return token ? bearer(headerText(token, `token of ${where}`)) : "";
}

/** The header of a token; "" without a token. */
export function bearer(token: string): string {
  return token === "" ? "" : `Bearer ${token}`;
}

function impersonation(user: KubeconfigUser, where: string): Headers {
  const { impersonateUser: as, impersonateUid: uid, impersonateGroups: groups } = user;
  const extra = Object.entries(user.impersonateExtra);
  if (!as && (uid !== "" || groups.length > 0 || extra.length > 0))
    throw new Error(`Cannot use ${where}: as-uid, as-groups and as-user-extra need as, the user to impersonate`);
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

/** As client-go: the server decodes what a header name cannot hold. */
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

/** A file that a kubeconfig names. */
function named(name: string, where: string, path: string): NamedFile {
  return { label: `${name} "${path}" of ${where}`, path };
}
