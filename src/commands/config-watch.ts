import type { Configuration, Invocation } from "../config/cli.ts";
import { reloadOf } from "../config/reload.ts";
import { changedConfigEvent, invalidConfigEvent } from "../events/event-records.ts";
import type { EventRecord } from "../model/cluster/event-record.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";
import type { ConfigFileState } from "../serve/metrics/config-metrics.ts";
import { FolderWatch, folderOf, type Waits } from "../sources/manifests/folder-watch.ts";

/** A ConfigMap is replaced in a moment; an editor may write for longer. Network file systems report no changes. */
const WAITS: Waits = { settleMs: 200, pollMs: 10_000 };

export interface ConfigWatchDependencies {
  /** Reads the command line and the file again. */
  readonly reread: () => Invocation;
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
  readonly recordEvent: (event: EventRecord) => void;
  /** Resolves when queued events were written, or after a short time. */
  readonly eventsWritten: () => Promise<void>;
  /** Applies a configuration whose changes are all live. */
  readonly apply: (configuration: Configuration) => void;
  readonly waits?: Waits;
}

/**
 * Follows the configuration file, also where it is a link into a folder that is replaced, as in a volume of a ConfigMap. Live
 * changes are applied. An invalid file changes nothing: it is reported by log, Event and metric when it appears or changes.
 */
export class ConfigWatch {
  readonly #dependencies: ConfigWatchDependencies;
  #current: Configuration;
  #loadedAtMs: number;
  /** The problems of the file that were reported last; "" if it is valid. */
  #reported = "";

  constructor(configuration: Configuration, dependencies: ConfigWatchDependencies) {
    this.#current = configuration;
    this.#dependencies = dependencies;
    this.#loadedAtMs = dependencies.clock.now();
  }

  /** The configuration in use. */
  get current(): Configuration {
    return this.#current;
  }

  get state(): ConfigFileState {
    return { valid: this.#reported === "", loadedAtMs: this.#loadedAtMs };
  }

  /** Follows the file until the signal aborts or a change needs a new start of the agent. Returns whether it does. */
  async run(signal: AbortSignal): Promise<boolean> {
    const waits = this.#dependencies.waits ?? WAITS;
    while (!signal.aborted) {
      const watch = new FolderWatch(await folderOf(this.#current.file), waits, signal);
      try {
        if (this.#reread()) {
          await this.#dependencies.eventsWritten();
          return true;
        }
        await watch.settled;
      } finally {
        watch.close();
      }
    }
    return false;
  }

  /** Returns whether the agent needs a new start. */
  #reread(): boolean {
    const { reread, clock, logger, recordEvent, apply } = this.#dependencies;
    const { file } = this.#current;
    const reload = reloadOf(this.#current, reread());
    if (reload.kind !== "invalid") this.#reportValid();
    switch (reload.kind) {
      case "invalid":
        this.#reportInvalid(reload.problems);
        return false;
      case "unchanged":
        return false;
      case "live":
        this.#current = reload.configuration;
        this.#loadedAtMs = clock.now();
        apply(reload.configuration);
        logger.info(
          { file, settings: reload.settings },
          "the configuration file has changed, and its settings are in use",
        );
        return false;
      case "restart":
        recordEvent(changedConfigEvent(this.#current.config.nodeName, file, reload.settings));
        logger.warn(
          { file, settings: reload.settings },
          "the configuration file has changed: the agent ends, because these settings need a new start",
        );
        return true;
    }
  }

  #reportValid(): void {
    const { file } = this.#current;
    if (this.#reported !== "") this.#dependencies.logger.info({ file }, "the configuration file is valid again");
    this.#reported = "";
  }

  #reportInvalid(problems: readonly string[]): void {
    const { logger, recordEvent } = this.#dependencies;
    const { config, file } = this.#current;
    const text = problems.join("; ");
    if (text === this.#reported) return;
    this.#reported = text;
    logger.error({ file, problems }, "the configuration file is invalid; the earlier configuration stays in use");
    recordEvent(invalidConfigEvent(config.nodeName, file, text));
  }
}
