import {
  type Cluster,
  newClusters,
  newContexts,
  newUsers,
  type User,
} from "@kubernetes/client-node/dist/config_types.js";
import { LineCounter, parseAllDocuments } from "yaml";
import { field, isJsonObject, type JsonObject } from "../../decode/object-reader.ts";
import { reasonOf } from "../transport/reason.ts";
import { checkedFields, type FieldKind } from "./checked-fields.ts";

/** A user of client-node with the fields that client-node does not read. `exec` is not checked yet. */
export interface KubeconfigUser extends User {
  readonly exec?: JsonObject;
  readonly tokenFile: string;
  readonly impersonateUid: string;
  readonly impersonateGroups: readonly string[];
  readonly impersonateExtra: Readonly<Record<string, readonly string[]>>;
}

/** The cluster and user of the current context of a kubeconfig, with their names for errors. */
export interface CurrentContext {
  readonly cluster: Cluster;
  readonly clusterName: string;
  /** The configuration of the cluster for exec plugins that request it; undefined for none. */
  readonly execExtension: unknown;
  readonly user: KubeconfigUser | undefined;
  readonly userName: string;
}

const CONTEXT = { cluster: "text", user: "text" } as const satisfies Record<string, FieldKind>;

const CLUSTER = {
  server: "text",
  "certificate-authority": "text",
  "certificate-authority-data": "base64",
  "insecure-skip-tls-verify": "boolean",
  "tls-server-name": "text",
  "proxy-url": "secret",
  extensions: "list",
} as const satisfies Record<string, FieldKind>;

const USER = {
  token: "secret",
  tokenFile: "text",
  username: "text",
  password: "secret",
  "client-certificate": "text",
  "client-certificate-data": "base64",
  "client-key": "text",
  "client-key-data": "base64",
  as: "text",
  "as-uid": "text",
  "as-groups": "texts",
  "as-user-extra": "map of texts",
  exec: "object",
  "auth-provider": "object",
} as const satisfies Record<string, FieldKind>;

/** The name of the cluster's extension with configuration for exec plugins, as in client-go. */
const EXEC_EXTENSION = "client.authentication.k8s.io/exec";

/**
 * Reads the context that `current-context` names, and no other entry: as in client-go, an invalid entry that is not used
 * is no error. Errors name file, object and field.
 */
export function readCurrentContext(path: string, text: string): CurrentContext {
  const file = `kubeconfig "${path}"`;
  const document = parsed(file, text);
  const current = checkedFields(document, { "current-context": "text" }, file)["current-context"];
  if (current === undefined) throw new Error(`Cannot use ${file}: it has no current-context`);
  const entry = named(document, "contexts", "context", current, file);
  const checked = checkedFields(entry.value, CONTEXT, entry.where);
  if (checked.cluster === undefined) throw new Error(`Cannot use ${entry.where}: it has no cluster`);
  const [context] = newContexts([{ name: current, context: checked }]);
  const userName = context?.user ?? "";
  return {
    ...clusterOf(named(document, "clusters", "cluster", checked.cluster, file), checked.cluster),
    clusterName: `cluster "${checked.cluster}" of ${file}`,
    user: userName === "" ? undefined : userOf(named(document, "users", "user", userName, file), userName),
    userName: `user "${userName}" of ${file}`,
  };
}

interface Entry {
  readonly value: JsonObject;
  readonly where: string;
}

function clusterOf({ value, where }: Entry, name: string): Pick<CurrentContext, "cluster" | "execExtension"> {
  const checked = checkedFields(value, CLUSTER, where);
  if (checked.server === undefined) throw new Error(`Cannot use ${where}: it has no server`);
  const [cluster] = newClusters([{ name, cluster: checked }]);
  if (cluster === undefined) throw new Error(`Cannot use ${where}`);
  const extension = checked.extensions?.find((candidate) => field(candidate, "name") === EXEC_EXTENSION);
  return { cluster, execExtension: field(extension, "extension") };
}

function userOf({ value, where }: Entry, name: string): KubeconfigUser {
  const checked = checkedFields(value, USER, where);
  const [user] = newUsers([{ name, user: checked }]);
  return {
    ...(user ?? { name }),
    tokenFile: checked.tokenFile ?? "",
    impersonateUid: checked["as-uid"] ?? "",
    impersonateGroups: checked["as-groups"] ?? [],
    impersonateExtra: checked["as-user-extra"] ?? {},
  };
}

/** The entry with that name in a list of the document. For example, an entry of `users` is `{ name, user }`. */
function named(document: JsonObject, list: string, key: string, name: string, file: string): Entry {
  const where = `${key} "${name}" of ${file}`;
  const all = field(document, list);
  const found = (Array.isArray(all) ? all : []).filter((entry) => field(entry, "name") === name);
  if (found.length === 0) throw new Error(`Cannot find ${where}: ${list} has no entry with that name`);
  if (found.length > 1) throw new Error(`Cannot use ${where}: ${list} has ${found.length} entries with that name`);
  const value = field(found[0], key) ?? {};
  if (!isJsonObject(value)) throw new Error(`Cannot use ${where}: must be a map`);
  return { value, where };
}

/**
 * The first document of the file, as in client-go. The message of an error of the YAML library may contain text of the
 * file, which may be secret, so this function shows its code only.
 */
function parsed(file: string, text: string): JsonObject {
  const lineCounter = new LineCounter();
  const options = { merge: true, uniqueKeys: false, prettyErrors: false, lineCounter, logLevel: "silent" } as const;
  const [first] = resolved(file, () => parseAllDocuments(text, options));
  const [error] = first?.errors ?? [];
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    const code = error.code.toLowerCase().replaceAll("_", " ");
    throw new Error(`Cannot use ${file}: it is not valid YAML: ${code} at line ${line}, column ${col}`);
  }
  const document = first === undefined ? undefined : resolved(file, (): unknown => first.toJS());
  if (!isJsonObject(document)) throw new Error(`Cannot use ${file}: it is not a kubeconfig: must be a map`);
  return document;
}

/** The result of the YAML library. It throws for unknown aliases, for too many aliases and for too deep nesting. */
function resolved<Value>(file: string, resolve: () => Value): Value {
  try {
    return resolve();
  } catch (error) {
    // After the colon follows a name from the file, which may be secret.
    const [reason] = reasonOf(error).split(":");
    throw new Error(`Cannot use ${file}: it is not valid YAML: ${reason}`);
  }
}
