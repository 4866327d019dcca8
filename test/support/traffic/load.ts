import { join } from "node:path";
import { createInterface } from "node:readline";
import { ended, type Namespace } from "../node/namespace.ts";
import type { Program } from "../node/program.ts";
import { HEADROOM, PATIENCE, patient } from "../time/patience.ts";

const SCRIPT = join(import.meta.dirname, "load.pl");

/** How long an answer may take before it counts as lost: longer than a machine under load stands still. */
const ANSWER_SECONDS = patient(5_000) / 1_000;
/** Of the work that a quiet machine does in the same time. */
const SLOWER = Math.min(1, HEADROOM / PATIENCE);

/** A frontend that is loaded: "tcp,10.96.0.1,80". */
export type LoadTarget = `${"tcp" | "udp" | "sctp"},${string},${number}`;

export interface LoadOptions {
  /** New connections a second, over all frontends. On a slow machine fewer. */
  readonly rate: number;
  /** The connections that are kept to each frontend. */
  readonly held: number;
}

/** What a load has seen. */
export interface LoadSummary {
  /** The new connections that were answered. */
  readonly count: number;
  /** The answers on connections that were kept. */
  readonly kept: number;
  /** How many first packets of connections the whole namespace has sent again. */
  readonly resent: number;
  /** What was not answered: when, which frontend, a new or a kept connection, and why. */
  readonly failures: readonly string[];
  /** For each frontend the client addresses that the pods saw, with the number of answers. */
  readonly clients: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** New and kept connections to many frontends from one namespace, by one process, until it is stopped. */
export class Load {
  readonly #program: Program;
  readonly #lines: AsyncIterator<string>;

  private constructor(program: Program) {
    this.#program = program;
    this.#lines = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when every frontend has answered, over new and over kept connections. */
  static async begin(namespace: Namespace, targets: readonly LoadTarget[], options: LoadOptions): Promise<Load> {
    const { rate, held } = options;
    const how = ["--rate", `${rate * SLOWER}`, "--held", `${held}`, "--timeout", `${ANSWER_SECONDS}`];
    const load = new Load(namespace.start(["perl", SCRIPT, ...how, ...targets]));
    await load.#lines.next();
    return load;
  }

  /** Ends it when all that it has asked is answered or lost. */
  async stop(): Promise<LoadSummary> {
    this.#program.kill("SIGTERM");
    const { value } = await this.#lines.next();
    await ended(this.#program);
    return JSON.parse(value) as LoadSummary; // what load.pl prints last
  }
}
