import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { ClusterEvent } from "../../services/cluster-event.ts";
import { fenced } from "../decode/object-reader.ts";
import type { WatchedResource } from "./resources.ts";
import { type ApiObject, isOlderVersion } from "./stream/watch-event.ts";

/** Receives the events of a source. An exception is a bug: it ends the source and the process. */
export interface EventHandler {
  onEvent(event: ClusterEvent): void;
  /** Called with all problems of this object; none if the object is valid or deleted. */
  onProblems(object: string, problems: readonly Problem[]): void;
}

/**
 * Keeps the names and versions of the objects of one resource for which events were sent. Turns objects into events, and
 * finds deletions that were missed from a complete list. It does not keep the objects.
 */
export class WatchCache<Name extends string, Value> {
  readonly #resource: WatchedResource<Name, Value>;
  readonly #handler: EventHandler;
  readonly #versions = new Map<Name, string>();
  readonly #rejected = new Set<Name>();
  /** While a list is read: the objects that existed before the list and have not appeared in it. */
  #missing: Set<Name> | undefined;
  /** While a list is read: objects deleted meanwhile, with their version. The list may contain an older version. */
  readonly #gone = new Map<Name, string>();
  #outdated = 0;
  #decodeErrors = 0;
  #listed = false;

  constructor(resource: WatchedResource<Name, Value>, handler: EventHandler) {
    this.#resource = resource;
    this.#handler = handler;
  }

  get size(): number {
    return this.#versions.size;
  }

  /** The number of events dropped because an event with a newer version of the object was sent before. */
  get outdated(): number {
    return this.#outdated;
  }

  /** The number of object versions with a problem. */
  get decodeErrors(): number {
    return this.#decodeErrors;
  }

  /** Accepts the next version of each object even if it is older, because the server was restored from an older state. */
  forgetVersions(): void {
    for (const name of this.#versions.keys()) this.#versions.set(name, "");
  }

  /** Begins a list. A list that is not completed deletes nothing. */
  beginList(): void {
    this.#missing = new Set([...this.#versions.keys(), ...this.#rejected]);
    this.#gone.clear();
  }

  /** Completes the list. Objects that were not in it are deleted. */
  completeList(): void {
    for (const name of this.#missing ?? []) this.#remove(name);
    this.#missing = undefined;
    this.#gone.clear();
    this.markListed();
  }

  /** Sends the event `listed`, once: events for all existing objects were sent. */
  markListed(): void {
    if (this.#listed) return;
    this.#listed = true;
    this.#handler.onEvent({ kind: "listed", resource: this.#resource.resource });
  }

  /** Whether the event `listed` was sent. */
  get listed(): boolean {
    return this.#listed;
  }

  /**
   * Sends the event of an object that exists in this version. An object that cannot be decoded changes nothing, so that
   * its earlier version stays in effect. An unknown object that is older than `asOf` is dropped, because it was deleted
   * before that version.
   */
  upsert(object: ApiObject, asOf = ""): void {
    const { kind } = this.#resource;
    const path = object.namespace === "" ? object.name : `${object.namespace}/${object.name}`;
    const decoded = fenced(problemObject(kind, path), () => this.#resource.decode(object.object));
    // One string for all uses: a Map compares two equal strings byte by byte, but the same string by reference.
    const name = decoded.kind === "invalid" ? this.#nameOf(object) : decoded.name;
    this.#missing?.delete(name);
    if (this.#isOutdated(name, object.resourceVersion, asOf)) return;
    if (decoded.problems.length > 0) this.#decodeErrors++;
    this.#reportProblems(name, decoded.problems);
    switch (decoded.kind) {
      case "accepted":
        this.#versions.set(name, object.resourceVersion);
        this.#handler.onEvent(this.#resource.upserted(decoded.value));
        return;
      case "ignored":
        this.#forget(name);
        return;
      case "invalid":
        return;
    }
  }

  /** Sends the event of an object that was deleted, or that no longer matches the selector. */
  delete(object: ApiObject): void {
    const name = this.#nameOf(object);
    if (this.#isOutdated(name, object.resourceVersion, "")) return;
    if (this.#missing?.delete(name) !== undefined) this.#gone.set(name, object.resourceVersion);
    this.#remove(name);
  }

  #nameOf({ namespace, name }: ApiObject): Name {
    return this.#resource.nameOf(namespace, name);
  }

  #isOutdated(name: Name, version: string, asOf: string): boolean {
    const outdated = isOlderVersion(version, this.#versions.get(name) ?? this.#gone.get(name) ?? asOf);
    if (outdated) this.#outdated++;
    return outdated;
  }

  #remove(name: Name): void {
    this.#reportProblems(name, []);
    this.#forget(name);
  }

  #reportProblems(name: Name, problems: readonly Problem[]): void {
    if (problems.length === 0 && !this.#rejected.has(name)) return;
    if (problems.length === 0) this.#rejected.delete(name);
    else this.#rejected.add(name);
    this.#handler.onProblems(`${this.#resource.resource} ${name}`, problems);
  }

  #forget(name: Name): void {
    if (this.#versions.delete(name)) this.#handler.onEvent(this.#resource.deleted(name));
  }
}
