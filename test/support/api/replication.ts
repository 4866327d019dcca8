import type { ApiPath, ApiStore, Change } from "./store.ts";

interface Pending {
  readonly path: ApiPath;
  readonly change: Change;
}

/** Brings every change of one store to another, in order; while it is held up the other lags. */
export class Replication {
  readonly #to: ApiStore;
  readonly #pending: Pending[] = [];
  #isHeld = false;

  constructor(from: ApiStore, to: ApiStore) {
    this.#to = to;
    // The keys of a Record<ApiPath, ...>.
    for (const path of Object.keys(from.collections) as ApiPath[]) {
      from.collections[path].listeners.add((change) => {
        if (this.#isHeld) this.#pending.push({ path, change });
        else to.follow(path, change);
      });
    }
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  hold(): void {
    this.#isHeld = true;
  }

  /** Brings so many of the changes that wait; when none is left, those to come are brought at once again. */
  release(count = Number.POSITIVE_INFINITY): void {
    for (const { path, change } of this.#pending.splice(0, count)) this.#to.follow(path, change);
    if (this.#pending.length === 0) this.#isHeld = false;
  }
}
