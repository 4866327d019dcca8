import type { Clock } from "../../model/time/clock.ts";
import type { ReflectorStats } from "./reflector-stats.ts";
import type { WatchedResource } from "./resources.ts";
import { type ApiObject, isOlderVersion, laterVersion } from "./stream/watch-event.ts";
import { type EventHandler, WatchCache } from "./watch-cache.ts";
import { type Standing, WatchHistory } from "./watch-history.ts";

/**
 * The state of one resource as the attempts so far have read it: its objects, its versions, and the counts and times of
 * what arrived.
 *
 * The version advances only after the events up to that version were passed on, so that an interrupted attempt continues
 * without a gap. Within a list, the version does not advance and nothing is deleted before the end of the list.
 */
export class KnownState<Name extends string, Value> {
  /** The facts about the attempts so far. */
  readonly history = new WatchHistory();
  readonly #resource: WatchedResource<Name, Value>;
  readonly #cache: WatchCache<Name, Value>;
  readonly #clock: Clock;
  /** The version up to which all changes are known; "" before the first list. */
  #version = "";
  /** The newest version of any known object, also from an interrupted list; at least `#version`. */
  #newest = "";
  readonly #counts = { lists: 0, events: 0, bookmarks: 0, bytes: 0 };
  readonly #times = { lastEventAtMs: 0, lastBookmarkAtMs: 0, lastContactAtMs: 0, lastProgressAtMs: 0 };

  constructor(resource: WatchedResource<Name, Value>, handler: EventHandler, clock: Clock) {
    this.#resource = resource;
    this.#cache = new WatchCache(resource, handler);
    this.#clock = clock;
  }

  /** The version up to which all changes are known; "" before the first list. */
  get version(): string {
    return this.#version;
  }

  /** The newest version of any known object, also from an interrupted list; "" before the first object. */
  get newest(): string {
    return this.#newest;
  }

  /** The time of the last headers or bytes from the server, of `Clock.now`. */
  get lastContactAtMs(): number {
    return this.#times.lastContactAtMs;
  }

  /** The time at which all changes were last known, of `Clock.now`. */
  get lastProgressAtMs(): number {
    return this.#times.lastProgressAtMs;
  }

  /** The position now. */
  get standing(): Standing {
    const { events, bookmarks } = this.#counts;
    return { nowMs: this.#clock.now(), version: this.#version, messages: events + bookmarks };
  }

  /** The part of the statistics that the attempts do not determine. */
  get stats(): Omit<ReflectorStats, "state" | "endings" | "trouble" | "cause"> {
    return {
      resource: this.#resource.resource,
      resourceVersion: this.#version,
      objects: this.#cache.size,
      listed: this.#cache.listed,
      decodeErrors: this.#cache.decodeErrors,
      outdatedEvents: this.#cache.outdated,
      ...this.#counts,
      ...this.#times,
    };
  }

  /** Records that headers of a response arrived. */
  noteContact(): void {
    this.#times.lastContactAtMs = this.#clock.now();
  }

  /** Records received bytes of a list or watch. */
  noteBytes(bytes: number): void {
    this.noteContact();
    this.#counts.bytes += bytes;
  }

  /** Begins a list. A list that is not completed deletes nothing. */
  beginList(): void {
    this.#cache.beginList();
  }

  /** Passes on an object of a page of a list. */
  addListed(object: ApiObject): void {
    this.#cache.upsert(object);
    this.#newest = laterVersion(this.#newest, object.resourceVersion);
  }

  /** Passes on an object that a stream created or changed; `inList`: before the end of the list in the stream. */
  upsert(object: ApiObject, inList: boolean): void {
    this.#cache.upsert(object, inList ? "" : this.#version);
    this.#noteEvent(object.resourceVersion, inList);
  }

  /** Passes on the deletion of an object in a stream; `inList` as for `upsert`. */
  delete(object: ApiObject, inList: boolean): void {
    this.#cache.delete(object);
    this.#noteEvent(object.resourceVersion, inList);
  }

  /** Records the arrival of a bookmark. */
  noteBookmark(): void {
    this.#counts.bookmarks++;
    this.#times.lastBookmarkAtMs = this.#times.lastContactAtMs;
  }

  /** Completes a list of this version: objects that were not in it are deleted. */
  completeList(version: string): void {
    this.#cache.completeList();
    this.#version = version;
    this.#newest = laterVersion(this.#newest, version);
    this.#counts.lists++;
    this.history.noteList();
    this.noteProgress();
  }

  /** Records that all changes up to this version were passed on. */
  advance(version: string): void {
    this.#version = laterVersion(this.#version, version);
    this.noteProgress();
  }

  /** Records that the server has no changes after the known version, or that they were passed on. */
  noteProgress(): void {
    this.history.noteProgress();
    this.#times.lastProgressAtMs = this.#times.lastContactAtMs;
  }

  /** Whether a bookmark of this version shows that the server is behind; `inList` as for `upsert`. */
  isAhead(version: string, inList: boolean): boolean {
    return isOlderVersion(version, inList ? this.#newest : this.#version);
  }

  /** Sends the event `listed` without a list, if the server does not have the resource. Known objects stay. */
  markListed(): void {
    this.#cache.markListed();
  }

  /** Forgets the versions, so that an older state is accepted. The objects stay until a list is complete. */
  forgetVersions(): void {
    this.#cache.forgetVersions();
    this.#version = "";
    this.#newest = "";
  }

  #noteEvent(version: string, inList: boolean): void {
    this.#counts.events++;
    this.#times.lastEventAtMs = this.#times.lastContactAtMs;
    this.#newest = laterVersion(this.#newest, version);
    if (!inList) this.advance(version);
  }
}
