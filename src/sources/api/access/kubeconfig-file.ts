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

/** A user as client-node reads it, with what it does not read. `exec` is an object nobody has checked yet. */
export interface KubeconfigUser extends User {
  readonly exec?: JsonObject;
  readonly tokenFile: string;
  readonly impersonateUid: string;
  readonly impersonateGroups: readonly string[];
  readonly impersonateExtra: Readonly<Record<string, readonly string[]>>;
}

/** What the current context of a kubeconfig names. Names of objects are for errors. */
export interface CurrentContext {
  readonly cluster: Cluster;
  readonly clusterName: string;
  /** Given to exec plugins that want it; undefined without. */
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

/** Of the cluster, for plugins that know it; client-go's name. */
const EXEC_EXTENSION = "client.authentication.k8s.io/exec";

/**
 * Reads what `current-context` names, and nothing else: a broken entry that nobody uses is no reason to stop, as for
 * client-go. Throws with file, object and field.
 */
export function readCurrentContext(path: string, text: string): CurrentContext {
  const file = `kubeconfig "${path}"`;
  const document = parsed(file, text);
  const current = checkedFields(document, { "current-context": "text" }, file)["current-context"];
  if (current === undefined) throw new Error(`Cannot use ${file}: it has no current-context`);
  const entry = named(document, "contexts", "context", current, file);
  const checked = checkedFields(entry.value, CONTEXT, entry.where);
  if (checked.cluster === undefined) throw new Error(`Cannot use ${entry.where}: it names no cluster`);
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

/** The entry of that name in a list of the document: `users` holds `{ name, user }`. */
function named(document: JsonObject, list: string, key: string, name: string, file: string): Entry {
  const where = `${key} "${name}" of ${file}`;
  const all = field(document, list);
  const found = (Array.isArray(all) ? all : []).filter((entry) => field(entry, "name") === name);
  if (found.length === 0) throw new Error(`Cannot find ${where}: ${list} has no entry of that name`);
  if (found.length > 1) throw new Error(`Cannot use ${where}: ${list} has ${found.length} entries of that name`);
  const value = field(found[0], key) ?? {};
  if (!isJsonObject(value)) throw new Error(`Cannot use ${where}: must be a map`);
  return { value, where };
}

/** The first document of the file, as client-go. Errors of the YAML library may show what stands in the file, so only their code is told. */
function parsed(file: string, text: string): JsonObject {
  const lineCounter = new LineCounter();
  const options = { merge: true, uniqueKeys: false, prettyErrors: false, lineCounter, logLevel: "silent" } as const;
  const [first] = resolved(file, () => parseAllDocuments(text, options));
  const [error] = first?.errors ?? [];
  if (error !== undefined) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    const code = error.code.toLowerCase().replaceAll("_", " ");
    throw new Error(`Cannot use ${file}: it is no YAML: ${code} at line ${line}, column ${col}`);
  }
  const document = first === undefined ? undefined : resolved(file, (): unknown => first.toJS());
  if (!isJsonObject(document)) throw new Error(`Cannot use ${file}: it is no kubeconfig, which is a map`);
  return document;
}

/** What the library gives, which throws for aliases that lead nowhere or are too many, and for what nests too deeply. */
function resolved<Value>(file: string, resolve: () => Value): Value {
  try {
    return resolve();
  } catch (error) {
    // Behind the colon is a name out of the file.
    const [reason] = reasonOf(error).split(":");
    throw new Error(`Cannot use ${file}: it is no YAML: ${reason}`);
  }
}
