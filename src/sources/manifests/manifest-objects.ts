import {
  manifestPart,
  type Problem,
  ProblemList,
  type ProblemObject,
  problemObject,
  problemObjectText,
} from "../../model/cluster/problem.ts";
import type { ClusterNode, EndpointSlice, Service, ServiceCIDR } from "../../model/cluster/service.ts";
import type { TextTable } from "../../model/text-table.ts";
import { valueText } from "../../model/value-text.ts";
import type { Decoded } from "../../services/cluster-event.ts";
import { decodeNode } from "../decode/decode-node.ts";
import { decodeService } from "../decode/decode-service.ts";
import { decodeServiceCIDR } from "../decode/decode-service-cidr.ts";
import { decodeEndpointSlice } from "../decode/decode-slice.ts";
import { fenced, field, identityOf } from "../decode/object-reader.ts";
import type { ManifestDocument } from "./manifest-documents.ts";

/** An object that a manifest can define. */
export type ManifestObject =
  | { readonly kind: "Service"; readonly value: Service }
  | { readonly kind: "EndpointSlice"; readonly value: EndpointSlice }
  | { readonly kind: "Node"; readonly value: ClusterNode }
  | { readonly kind: "ServiceCIDR"; readonly value: ServiceCIDR };

type Kind = ManifestObject["kind"];

/** An object that a file defines. */
export interface ManifestEntry {
  /** The kind and the name, for example "Service shop/web". */
  readonly key: string;
  /** The object with its position. */
  readonly subject: ProblemObject;
  /** The object with its valid fields; "ignored" and "invalid" have the same meaning as in Decoded. */
  readonly object: ManifestObject | "ignored" | "invalid";
  readonly problems: readonly Problem[];
}

/** The content of one version of a file. */
export interface ManifestFile {
  readonly file: string;
  readonly version: string;
  readonly entries: readonly ManifestEntry[];
  /** The problems that belong to no entry. */
  readonly problems: readonly Problem[];
  /** The kinds of the objects that a proxy does not use. */
  readonly ignoredKinds: ReadonlySet<string>;
  /** False if a part could not be read or an object has no name. Then a missing object may still be in the file. */
  readonly complete: boolean;
}

const API_VERSIONS: Readonly<Record<Kind, string>> = {
  Service: "v1",
  EndpointSlice: "discovery.k8s.io/v1",
  Node: "v1",
  ServiceCIDR: "networking.k8s.io/v1",
};

/** Kinds without a namespace. */
const CLUSTER_SCOPED: ReadonlySet<Kind> = new Set(["Node", "ServiceCIDR"]);

/** The kinds of lists, with the kind of the items that have no field `kind`. */
const LISTS: ReadonlyMap<string, Kind | undefined> = new Map<string, Kind | undefined>([
  ["List", undefined],
  ["ServiceList", "Service"],
  ["EndpointSliceList", "EndpointSlice"],
  ["NodeList", "Node"],
  ["ServiceCIDRList", "ServiceCIDR"],
]);

/** The deepest nesting of lists. kubectl writes one level. A YAML alias can make a list that contains itself. */
const MOST_LISTS = 8;

/** Decodes the documents of a file and the items of their lists. Objects of other kinds are left out. */
export function decodeFile(
  file: string,
  version: string,
  documents: readonly ManifestDocument[],
  texts: TextTable,
): ManifestFile {
  const decoder = new FileDecoder(file, texts);
  for (const document of documents) {
    if (document.kind === "unparsable") decoder.miss(document.problem);
    else decoder.decode(document.value, `file ${file} document ${document.number}`);
  }
  const { entries, ignoredKinds, complete } = decoder;
  return { file, version, entries, problems: decoder.problems.list(), ignoredKinds, complete };
}

class FileDecoder {
  readonly entries: ManifestEntry[] = [];
  readonly problems: ProblemList;
  readonly ignoredKinds = new Set<string>();
  complete = true;
  readonly #texts: TextTable;

  constructor(file: string, texts: TextTable) {
    this.problems = new ProblemList(manifestPart(`file ${file}`));
    this.#texts = texts;
  }

  /** Adds the problems of a part that cannot be read and may contain objects. */
  miss(...problems: readonly Problem[]): void {
    for (const { object, field, value, reason } of problems) this.problems.add(field, value, reason, object);
    this.complete = false;
  }

  decode(object: unknown, at: string): void {
    this.#decode(object, at, { kind: undefined, lists: 0 });
  }

  /** `list` describes the list around the object: the kind of its items, and the depth of nested lists. */
  #decode(object: unknown, at: string, list: { readonly kind: Kind | undefined; readonly lists: number }): void {
    const { kind: itemKind, lists } = list;
    const kind = field(object, "kind") ?? itemKind;
    const apiVersion = field(object, "apiVersion") ?? (itemKind === undefined ? undefined : API_VERSIONS[itemKind]);
    if (typeof kind !== "string") {
      this.miss({
        object: manifestPart(at),
        field: "kind",
        value: "",
        reason: "is missing: this is not a Kubernetes object",
      });
    } else if (LISTS.has(kind)) {
      this.#decodeList(object, at, { kind: LISTS.get(kind), lists: lists + 1 });
    } else if (!isKnown(kind)) {
      this.ignoredKinds.add(kind);
    } else if (isOfOtherGroup(apiVersion, kind)) {
      this.ignoredKinds.add(`${kind} of ${apiVersion}`);
    } else {
      this.#decodeKnown(kind, object, at, apiVersion);
    }
  }

  #decodeList(object: unknown, at: string, list: { readonly kind: Kind | undefined; readonly lists: number }): void {
    const items = field(object, "items") ?? [];
    if (!Array.isArray(items)) {
      this.miss({ object: manifestPart(at), field: "items", value: valueText(items), reason: "must be a list" });
    } else if (list.lists > MOST_LISTS) {
      this.miss({
        object: manifestPart(at),
        field: "kind",
        value: "",
        reason: `is nested in more than ${MOST_LISTS} lists`,
      });
    } else {
      items.forEach((item, index) => {
        this.#decode(item, `${at} items[${index}]`, list);
      });
    }
  }

  #decodeKnown(kind: Kind, json: unknown, at: string, apiVersion: unknown): void {
    const subject = subjectOf(kind, json, at);
    const { decoded, object } = decodeKind(kind, json, { subject, texts: this.#texts });
    const found = decoded.problems.map((problem) => ({ ...problem, object: subject }));
    const key = problemObjectText({ ...subject, place: "" });
    if (subject.name === "") this.miss(...found);
    else if (apiVersion === API_VERSIONS[kind]) this.entries.push({ key, subject, object, problems: found });
    else this.entries.push({ key, subject, object: "invalid", problems: [wrongVersion(subject, apiVersion, kind)] });
  }
}

/** The object with its position. Its name is "" if it has no valid name. */
function subjectOf(kind: Kind, json: unknown, place: string): ProblemObject {
  const identity = identityOf(json);
  if (identity === undefined) return problemObject(kind, "", place);
  const { namespace, name } = identity;
  return problemObject(kind, CLUSTER_SCOPED.has(kind) ? name : `${namespace}/${name}`, place);
}

function isKnown(kind: string): kind is Kind {
  return Object.hasOwn(API_VERSIONS, kind);
}

function decodeKind(
  kind: Kind,
  json: unknown,
  { subject, texts }: { readonly subject: ProblemObject; readonly texts: TextTable },
): { decoded: Decoded<unknown, unknown>; object: ManifestEntry["object"] } {
  switch (kind) {
    case "Service": {
      const decoded = fenced(subject, () => decodeService(json));
      return { decoded, object: decoded.kind === "accepted" ? { kind, value: decoded.value } : decoded.kind };
    }
    case "EndpointSlice": {
      const decoded = fenced(subject, () => decodeEndpointSlice(json, texts));
      return { decoded, object: decoded.kind === "accepted" ? { kind, value: decoded.value } : decoded.kind };
    }
    case "Node": {
      const decoded = fenced(subject, () => decodeNode(json));
      return { decoded, object: decoded.kind === "accepted" ? { kind, value: decoded.value } : decoded.kind };
    }
    case "ServiceCIDR": {
      const decoded = fenced(subject, () => decodeServiceCIDR(json));
      return { decoded, object: decoded.kind === "accepted" ? { kind, value: decoded.value } : decoded.kind };
    }
  }
}

/**
 * Whether the object belongs to another API group with the same kind, for example the Service of serving.knative.dev. With
 * the expected group or without a group, a wrong version is an error.
 */
function isOfOtherGroup(apiVersion: unknown, kind: Kind): boolean {
  if (typeof apiVersion !== "string" || !apiVersion.includes("/")) return false;
  const [group] = apiVersion.split("/");
  return group !== API_VERSIONS[kind].split("/")[0];
}

function wrongVersion(object: ProblemObject, apiVersion: unknown, kind: Kind): Problem {
  const value = apiVersion === undefined ? "" : valueText(apiVersion);
  return { object, field: "apiVersion", value, reason: `must be ${API_VERSIONS[kind]}` };
}
