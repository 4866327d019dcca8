import { type Problem, problemObject } from "../../model/cluster/problem.ts";
import type { ClusterEvent } from "../../services/cluster-event.ts";
import { fenced } from "../decode/fenced.ts";
import type { WatchedResource } from "./resources.ts";
import { type ApiObject, isOlderVersion } from "./stream/watch-event.ts";

/** A number where that says the same: it has its place in the Map, while a text of 9 digits takes 32 bytes besides. */
type KeptVersion = string | number;

function keptVersion(version: string): KeptVersion {
  const number = Number(version);
  return String(number) === version ? number : version;
}

/** Where the events of a source go. What either throws is a bug: it ends the source, and with it the process. */
export interface EventSink {
  onEvent(event: ClusterEvent): void;
  /** What is wrong with this object now; empty when nothing is, or when it is gone. */
  onProblems(object: string, problems: readonly Problem[]): void;
}

/**
 * Which objects of one resource have been told downstream, and in which version. Turns objects into events, and a
 * complete list into the deletions that were missed. The objects themselves are not kept.
 */
export class Inventory<Name extends string, Value> {
  readonly #resource: WatchedResource<Name, Value>;
  readonly #sink: EventSink;
  readonly #versions = new Map<Name, KeptVersion>();
  readonly #rejected = new Set<Name>();
  /** While a list is read: what was there before it and has not come again. */
  #missing: Set<Name> | undefined;
  /** While a list is read: what was deleted meanwhile, and in which version. It may come again in an older one. */
  readonly #gone = new Map<Name, string>();
  #outdated = 0;
  #decodeErrors = 0;
  #listed = false;

  constructor(resource: WatchedResource<Name, Value>, sink: EventSink) {
    this.#resource = resource;
    this.#sink = sink;
  }

  get size(): number {
    return this.#versions.size;
  }

  /** Events dropped because a newer version of the object had been told. */
  get outdated(): number {
    return this.#outdated;
  }

  /** Versions of objects of which something was rejected. */
  get decodeErrors(): number {
    return this.#decodeErrors;
  }

  /** What comes next of each object counts, whatever its version: the server was restored from an older state. */
  forgetVersions(): void {
    for (const name of this.#versions.keys()) this.#versions.set(name, "");
  }

  /** A list begins. One that was begun and not completed has deleted nothing. */
  beginList(): void {
    this.#missing = new Set([...this.#versions.keys(), ...this.#rejected]);
    this.#gone.clear();
  }

  /** The list is complete: what was not in it is gone. */
  completeList(): void {
    for (const name of this.#missing ?? []) this.#remove(name);
    this.#missing = undefined;
    this.#gone.clear();
    this.tellListed();
  }

  /** Tells, once, that all there is has been told. */
  tellListed(): void {
    if (this.#listed) return;
    this.#listed = true;
    this.#sink.onEvent({ kind: "listed", resource: this.#resource.resource });
  }

  /** Whether that has been told. */
  get listed(): boolean {
    return this.#listed;
  }

  /**
   * The object is there in this version. What cannot be decoded leaves the version before it in force. An object that is not
   * known must not be older than `asOf`: it comes again after its deletion.
   */
  upsert(object: ApiObject, asOf = ""): void {
    const { kind } = this.#resource;
    const path = object.namespace === "" ? object.name : `${object.namespace}/${object.name}`;
    const decoded = fenced(problemObject(kind, path), () => this.#resource.decode(object.object));
    // Made once: two texts that say the same are two for a Map until it has looked at both.
    const name = decoded.kind === "broken" ? this.#nameOf(object) : decoded.name;
    this.#missing?.delete(name);
    if (this.#isOutdated(name, object.resourceVersion, asOf)) return;
    if (decoded.problems.length > 0) this.#decodeErrors++;
    this.#tellProblems(name, decoded.problems);
    switch (decoded.kind) {
      case "wanted":
        this.#versions.set(name, keptVersion(object.resourceVersion));
        this.#sink.onEvent(this.#resource.upserted(decoded.value));
        return;
      case "unwanted":
        this.#forget(name);
        return;
      case "broken":
        return;
    }
  }

  /** The object is gone, or left the selector, whatever it looked like last. */
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
    const outdated = isOlderVersion(version, String(this.#versions.get(name) ?? this.#gone.get(name) ?? asOf));
    if (outdated) this.#outdated++;
    return outdated;
  }

  #remove(name: Name): void {
    this.#tellProblems(name, []);
    this.#forget(name);
  }

  #tellProblems(name: Name, problems: readonly Problem[]): void {
    if (problems.length === 0 && !this.#rejected.has(name)) return;
    if (problems.length === 0) this.#rejected.delete(name);
    else this.#rejected.add(name);
    this.#sink.onProblems(`${this.#resource.resource} ${name}`, problems);
  }

  #forget(name: Name): void {
    if (this.#versions.delete(name)) this.#sink.onEvent(this.#resource.deleted(name));
  }
}
