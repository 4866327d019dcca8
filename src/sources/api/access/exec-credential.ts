import { field, isJsonObject, type JsonObject } from "../../decode/object-reader.ts";
import { checkedFields, type FieldKind } from "./checked-fields.ts";
import { headerText } from "./header-text.ts";
import { type KeyPair, keyPair } from "./pem.ts";

/** An exec plugin of a kubeconfig: a program that prints credentials (KEP-541, client.authentication.k8s.io). */
export interface ExecConfig {
  /** The plugin in errors, for example `exec plugin "aws" of user "x" of kubeconfig "/etc/kubeconfig"`. */
  readonly label: string;
  readonly apiVersion: string;
  /** A path, or a name that is searched in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly provideClusterInfo: boolean;
}

/** The credentials of a plugin: a token, a key pair or both. */
export interface ExecCredential {
  /** "" for none. */
  readonly token: string;
  /** "" for none. */
  readonly pair: KeyPair;
  /** In ms since the epoch; Infinity if the credentials do not expire. */
  readonly expiresAtMs: number;
}

const API_VERSIONS: readonly string[] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
const INTERACTIVE_MODES: readonly string[] = ["Never", "IfAvailable"];

const EXEC = {
  apiVersion: "text",
  command: "text",
  args: "texts",
  env: "list",
  interactiveMode: "text",
  provideClusterInfo: "boolean",
} as const satisfies Record<string, FieldKind>;

/** Reads the field `exec` of a user. `resolve` makes a path absolute. Throws if the field is invalid or not supported. */
export function readExecConfig(exec: JsonObject, user: string, resolve: (path: string) => string): ExecConfig {
  const where = `exec of ${user}`;
  const { apiVersion = "", command = "", args = [], env = [], ...rest } = checkedFields(exec, EXEC, where);
  if (command === "") throw new Error(`Cannot use ${where}: it has no command`);
  if (!API_VERSIONS.includes(apiVersion))
    throw new Error(`Cannot use apiVersion of ${where}: must be ${API_VERSIONS.join(" or ")}, is "${apiVersion}"`);
  const mode = rest.interactiveMode ?? "IfAvailable";
  if (!INTERACTIVE_MODES.includes(mode))
    throw new Error(
      `Cannot use interactiveMode of ${where}: must be ${INTERACTIVE_MODES.join(" or ")}, is "${mode}"; a plugin cannot be interactive here`,
    );
  return {
    label: `exec plugin "${command}" of ${user}`,
    apiVersion,
    command: command.includes("/") ? resolve(command) : command,
    args,
    env: Object.fromEntries(env.map((entry) => variable(entry, where))),
    provideClusterInfo: rest.provideClusterInfo ?? false,
  };
}

function variable(entry: unknown, where: string): readonly [string, string] {
  const checked = checkedFields(isJsonObject(entry) ? entry : {}, { name: "text", value: "secret" }, `env of ${where}`);
  if (checked.name === undefined) throw new Error(`Cannot use env of ${where}: an entry has no name`);
  return [checked.name, checked.value ?? ""];
}

/** The value of the variable KUBERNETES_EXEC_INFO. `cluster` is undefined for a plugin that does not request it. */
export function execInfo({ apiVersion }: ExecConfig, cluster: JsonObject | undefined): string {
  const spec = { ...(cluster === undefined ? {} : { cluster }), interactive: false };
  return JSON.stringify({ kind: "ExecCredential", apiVersion, spec });
}

const STATUS = {
  token: "secret",
  clientCertificateData: "secret",
  clientKeyData: "secret",
  expirationTimestamp: "text",
} as const satisfies Record<string, FieldKind>;

/**
 * Reads the output of a plugin and checks it as client-go does. Errors name the plugin and the field, and do not show the
 * output.
 */
export function readExecCredential(stdout: string, { label, apiVersion }: ExecConfig): ExecCredential {
  const output = `the output of ${label}`;
  const object = parsed(stdout);
  if (field(object, "kind") !== "ExecCredential")
    throw new Error(`Cannot use ${output}: it is not an ExecCredential in JSON`);
  if (field(object, "apiVersion") !== apiVersion)
    throw new Error(`Cannot use ${output}: its apiVersion is not ${apiVersion}`);
  const status = field(object, "status");
  if (!isJsonObject(status)) throw new Error(`Cannot use ${output}: it has no status`);
  const {
    token = "",
    clientCertificateData: cert = "",
    clientKeyData: key = "",
    ...rest
  } = checkedFields(status, STATUS, output);
  if (token === "" && cert === "" && key === "")
    throw new Error(`Cannot use ${output}: it has neither a token nor a client certificate`);
  if ((cert === "") !== (key === ""))
    throw new Error(`Cannot use ${output}: it has only one of clientCertificateData and clientKeyData`);
  return {
    token: headerText(token, `token of ${output}`),
    pair:
      cert === ""
        ? { cert, key }
        : keyPair({ cert, key }, `clientCertificateData of ${output}`, `clientKeyData of ${output}`),
    expiresAtMs:
      rest.expirationTimestamp === undefined ? Number.POSITIVE_INFINITY : time(rest.expirationTimestamp, output),
  };
}

/** A time of RFC 3339. `Date.parse` accepts other forms too. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function time(text: string, output: string): number {
  const ms = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new Error(`Cannot use expirationTimestamp of ${output}: it is not an RFC 3339 time`);
  return ms;
}

/** The parsed value, or undefined. The error of the parser is dropped, because it shows a part of the secret text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
