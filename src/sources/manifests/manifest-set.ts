import { manifestPart, type Problem, ProblemList } from "../../model/cluster/problem.ts";
import type { ClusterEvent } from "../../services/cluster-event.ts";
import { sameNode, sameService, sameServiceCIDR, sameSlice } from "../../services/equality.ts";
import type { ManifestEntry, ManifestFile, ManifestObject } from "./manifest-objects.ts";

/** The used version of an object. */
interface UsedObject {
  readonly object: ManifestObject;
  /** The file that defines it now. */
  readonly file: string;
  /** Whether it has no problem. Later versions with a problem fall back to a clean version. */
  readonly clean: boolean;
}

/** The difference between two reads of all files. */
export interface ManifestChange {
  readonly events: Readonly<Record<ManifestObject["kind"], readonly ClusterEvent[]>>;
  /** Everything that is wrong now, in the order of the files. */
  readonly problems: readonly Problem[];
}

/**
 * The objects that a set of files defines. If an object has a problem, its last clean version stays in use; without a
 * clean version, its valid fields are used. While a part of a file cannot be read, the earlier objects of the file stay in
 * use. If an object is defined twice, the first definition by file name and position is used.
 */
export class ManifestSet {
  #used: ReadonlyMap<string, UsedObject> = new Map();

  /** Replaces all files, sorted by name, and returns the differences. */
  replace(files: readonly ManifestFile[]): ManifestChange {
    const before = this.#used;
    const after = new Map<string, UsedObject>();
    const definedAt = new Map<string, string>();
    const problems: Problem[] = [];
    for (const file of files) {
      const repeated = new ProblemList(manifestPart(`file ${file.file}`));
      problems.push(...file.problems);
      for (const entry of file.entries) {
        const first = definedAt.get(entry.key);
        if (first !== undefined) {
          reject(repeated, entry, first);
          continue;
        }
        definedAt.set(entry.key, entry.subject.place);
        problems.push(...entry.problems);
        const used = usedVersion(entry, file.file, before.get(entry.key));
        if (used !== undefined) after.set(entry.key, used);
      }
      problems.push(...repeated.list());
    }
    const incomplete = new Set(files.filter((file) => !file.complete).map((file) => file.file));
    for (const [key, used] of before) {
      if (!definedAt.has(key) && incomplete.has(used.file)) after.set(key, used);
    }
    this.#used = after;
    return { events: difference(before, after), problems };
  }
}

/** The version to use of an object with this entry. `before` is the version used until now. */
function usedVersion(entry: ManifestEntry, file: string, before: UsedObject | undefined): UsedObject | undefined {
  const clean = entry.problems.length === 0;
  if (before !== undefined && (entry.object === "invalid" || (!clean && before.clean))) return { ...before, file };
  if (entry.object === "invalid" || entry.object === "ignored") return undefined;
  const unchanged = before !== undefined && sameObject(before.object, entry.object);
  return { object: unchanged ? before.object : entry.object, file, clean };
}

function reject(repeated: ProblemList, { subject }: ManifestEntry, first: string): void {
  const { namespace, name } = subject;
  const path = namespace === "" ? name : `${namespace}/${name}`;
  repeated.add("metadata.name", path, `is already defined in ${first}, which is used`, subject);
}

function sameObject(a: ManifestObject, b: ManifestObject): boolean {
  switch (a.kind) {
    case "Service":
      return b.kind === a.kind && sameService(a.value, b.value);
    case "EndpointSlice":
      return b.kind === a.kind && sameSlice(a.value, b.value);
    case "Node":
      return b.kind === a.kind && sameNode(a.value, b.value);
    case "ServiceCIDR":
      return b.kind === a.kind && sameServiceCIDR(a.value, b.value);
  }
}

function difference(
  before: ReadonlyMap<string, UsedObject>,
  after: ReadonlyMap<string, UsedObject>,
): ManifestChange["events"] {
  const events: Record<ManifestObject["kind"], ClusterEvent[]> = {
    Service: [],
    EndpointSlice: [],
    Node: [],
    ServiceCIDR: [],
  };
  for (const [key, { object }] of after) {
    if (before.get(key)?.object !== object) events[object.kind].push(upserted(object));
  }
  for (const [key, { object }] of before) {
    if (!after.has(key)) events[object.kind].push(deleted(object));
  }
  return events;
}

function upserted(object: ManifestObject): ClusterEvent {
  switch (object.kind) {
    case "Service":
      return { kind: "service-upserted", service: object.value };
    case "EndpointSlice":
      return { kind: "slice-upserted", slice: object.value };
    case "Node":
      return { kind: "node-upserted", node: object.value };
    case "ServiceCIDR":
      return { kind: "servicecidr-upserted", cidr: object.value };
  }
}

function deleted(object: ManifestObject): ClusterEvent {
  switch (object.kind) {
    case "Service":
      return { kind: "service-deleted", name: object.value.name };
    case "EndpointSlice":
      return { kind: "slice-deleted", name: object.value.name };
    case "Node":
      return { kind: "node-deleted", name: object.value.name };
    case "ServiceCIDR":
      return { kind: "servicecidr-deleted", name: object.value.name };
  }
}
