/** What a run has done, and how long the rest will take if it goes on as slowly. */
export class Progress {
  readonly #seconds: readonly number[];
  readonly #now: () => number;
  #done = 0;
  #doneSeconds = 0;
  #spentMs = 0;
  #beganMs: number | undefined;

  /** The expected seconds of each step, on a quiet machine; `now` in ms. */
  constructor(seconds: readonly number[], now: () => number) {
    this.#seconds = seconds;
    this.#now = now;
  }

  /** A step begins: "step 3 of 14, 2 min done, about 9 min left". */
  begin(step: number): string {
    this.#beganMs = this.#now();
    const rest = this.#seconds.slice(step).reduce((sum, seconds) => sum + seconds, 0);
    const factor = this.#doneSeconds === 0 ? 1 : this.#spentMs / 1000 / this.#doneSeconds;
    const left = `about ${minutes(rest * factor)} left`;
    return `step ${step + 1} of ${this.#seconds.length}, ${minutes(this.#spentMs / 1000)} done, ${left}`;
  }

  end(step: number): void {
    this.#spentMs += this.#now() - (this.#beganMs ?? this.#now());
    this.#beganMs = undefined;
    this.#done++;
    this.#doneSeconds += this.#seconds[step] ?? 0;
  }

  get done(): number {
    return this.#done;
  }
}

function minutes(seconds: number): string {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
