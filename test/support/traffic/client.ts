import { once } from "node:events";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { ended, type Namespace } from "../node/namespace.ts";
import type { Program } from "../node/program.ts";
import { HEADROOM, PATIENCE, patient } from "../time/patience.ts";

const SCRIPT = join(import.meta.dirname, "client.pl");

/** Who answered how often, as whom they saw the client, and what went wrong how often. */
export interface Answers {
  readonly count: number;
  readonly answers: Readonly<Record<string, number>>;
  readonly clients: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
  /** The first of them, with the seconds since the start. */
  readonly failures: readonly string[];
  /** Seconds that the longest of them took. */
  readonly slowest: number;
}

/** What a loop has seen. */
export interface LoopAnswers extends Answers {
  /** How long connections were begun. */
  readonly seconds: number;
  /** How many first packets of connections were lost, by whoever is in the namespace: sent again, they hide an outage. */
  readonly resent: number;
}

export interface LoopOptions {
  /** New connections a second; by default 20. On a slow machine fewer: they would leave the others in its guest no time. */
  readonly rate?: number;
  /** How old a connection is when it is asked; by default 0. */
  readonly ageSeconds?: number;
}

/** How long a request waits for its answer, unless it says so itself. */
const ANSWER_SECONDS = patient(2_000) / 1_000;
/** The same for a client that goes on: longer than a machine under load stands still, shorter than any outage worth the name. */
const LONG_ANSWER_SECONDS = patient(5_000) / 1_000;
const ANSWERS_IN_TIME = `--timeout ${ANSWER_SECONDS}`;

/** Of the work that a quiet machine does in the same time. */
const SLOWER = Math.min(1, HEADROOM / PATIENCE);

export interface HttpAnswer {
  /** 0 when there was none. */
  readonly status: number;
  readonly body: string;
}

export interface AskOptions {
  /** How long the answer may take; said only where none comes (IN_VAIN). By default long enough for this machine. */
  readonly timeoutSeconds?: number;
  /** How long each request is, and its answer at least; by default a few bytes. */
  readonly bytes?: number;
  /** Source port of every request; by default another for each. */
  readonly fromPort?: number;
}

/** An address and a port. */
export type End = readonly [address: string, port: number];

/** A TCP segment that acknowledges. */
export interface Segment {
  /** An address of the namespace. */
  readonly from: End;
  readonly to: End;
  /** Its sequence number. */
  readonly next: number;
  /** What it acknowledges. */
  readonly expected: number;
}

export interface Opened extends Answers {
  /** The port it comes from, and its sequence numbers now. */
  readonly connection: { readonly port: number; readonly next: number; readonly expected: number };
}

/** A client in a namespace. What is asked of it at the same time it does at the same time, with a process for each. */
export class Client {
  readonly #namespace: Namespace;
  readonly #idle: Asker[] = [];
  /** Has the connection that is kept. */
  #keeper: Asker | undefined;

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  /** Each request over a connection of its own. */
  tcp(address: string, port: number, count = 1, options: AskOptions = {}): Promise<Answers> {
    return this.request("tcp", address, port, count, options);
  }

  /** Each request over an association of its own. */
  sctp(address: string, port: number, count = 1, options: AskOptions = {}): Promise<Answers> {
    return this.request("sctp", address, port, count, options);
  }

  /** Each request from a source port of its own. */
  udp(address: string, port: number, count = 1, options: AskOptions = {}): Promise<Answers> {
    return this.request("udp", address, port, count, options);
  }

  /** As `tcp`, `udp` or `sctp`. */
  request(
    protocol: "tcp" | "udp" | "sctp",
    address: string,
    port: number,
    count = 1,
    { timeoutSeconds = ANSWER_SECONDS, bytes = 4, fromPort = 0 }: AskOptions = {},
  ): Promise<Answers> {
    const how = `--timeout ${timeoutSeconds} --bytes ${bytes} --from ${fromPort}`;
    return this.#ask(`${protocol} ${address} ${port} ${count} ${how}`);
  }

  /** One request over a connection that the server then closes and this client never does. */
  leak(address: string, port: number): Promise<Answers> {
    return this.#ask(`leak ${address} ${port} ${ANSWERS_IN_TIME}`);
  }

  /** One request over a connection that is kept, for `again`, until there is another. */
  open(address: string, port: number): Promise<Opened> {
    this.#keeper ??= new Asker(this.#namespace);
    return this.#keeper.ask(`open ${address} ${port} ${ANSWERS_IN_TIME}`);
  }

  /** One more request over the connection that is kept. */
  again(): Promise<Answers> {
    if (this.#keeper === undefined) throw new Error("No connection is kept");
    return this.#keeper.ask(`again ${ANSWERS_IN_TIME}`);
  }

  /** Sends a TCP segment without data past all sockets, and waits for what it is answered with. */
  segment({ from, to, next, expected }: Segment): Promise<unknown> {
    return this.#ask(`segment ${from.join(" ")} ${to.join(" ")} ${next} ${expected}`);
  }

  /** One ICMP echo request. */
  ping(address: string): Promise<Answers> {
    return this.#ask(`ping ${address} ${ANSWERS_IN_TIME}`);
  }

  get(address: string, port: number, path: string): Promise<HttpAnswer> {
    return this.#ask(`get ${address} ${port} ${path} ${ANSWERS_IN_TIME}`);
  }

  async #ask<Answer>(command: string): Promise<Answer> {
    const asker = this.#idle.pop() ?? new Asker(this.#namespace);
    const answer = await asker.ask<Answer>(command);
    this.#idle.push(asker);
    return answer;
  }
}

/** A process that carries out commands, one after the other. */
class Asker {
  readonly #program: Program;
  readonly #lines: AsyncIterator<string>;

  constructor(namespace: Namespace) {
    this.#program = namespace.start(["perl", SCRIPT]);
    this.#lines = linesOf(this.#program)[Symbol.asyncIterator]();
  }

  async ask<Answer>(command: string): Promise<Answer> {
    this.#program.stdin.write(`${command}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`The client ended at "${command}"`);
    return JSON.parse(value) as Answer; // the command decides what client.pl prints
  }
}

/** A client that goes on until it is stopped: one connection held, or new connections at a rate. */
export class LongClient<Seen extends Answers = Answers> {
  readonly #program: Program;
  readonly #lines: AsyncIterator<string>;

  private constructor(program: Program) {
    this.#program = program;
    this.#lines = linesOf(program)[Symbol.asyncIterator]();
  }

  /** One connection, a request every 50 ms. Resolves after the first answer, or failure. */
  static hold(namespace: Namespace, address: string, port: number): Promise<LongClient> {
    return LongClient.#begin(namespace, ["hold", address, String(port)]);
  }

  /**
   * New connections, each begun when it is due, however long the ones before take; those of the last second that a machine
   * under load was late for come at once. Resolves after the first answer, or failure.
   */
  static loop(
    namespace: Namespace,
    address: string,
    port: number,
    { rate = 20, ageSeconds = 0 }: LoopOptions = {},
  ): Promise<LongClient<LoopAnswers>> {
    const how = ["--rate", `${rate * SLOWER}`, "--age", `${ageSeconds}`];
    return LongClient.#begin(namespace, ["loop", address, String(port), ...how]);
  }

  static async #begin<Seen extends Answers>(namespace: Namespace, words: readonly string[]): Promise<LongClient<Seen>> {
    const client = new LongClient<Seen>(
      namespace.start(["perl", SCRIPT, ...words, "--timeout", String(LONG_ANSWER_SECONDS)]),
    );
    await client.#lines.next();
    return client;
  }

  /** Ends it, connections that have begun with their answers; what it has seen. */
  async stop(): Promise<Seen> {
    this.#program.kill("SIGTERM");
    const { value } = await this.#lines.next();
    await ended(this.#program);
    return JSON.parse(value) as Seen; // what hold and loop print last
  }
}

function linesOf({ stdout }: Program): Interface {
  return createInterface({ input: stdout });
}

/** Resolves when the program has printed its first line; throws when it ends before. */
export async function firstLine(program: Program): Promise<string> {
  const lines = linesOf(program);
  const ending = once(lines, "close").then(() => {
    throw new Error(`"${program.argv.join(" ")}" ended before it said anything`);
  });
  const [line] = (await Promise.race([once(lines, "line"), ending])) as [string]; // "line" comes with its text
  return line;
}
