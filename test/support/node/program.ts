import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";

/**
 * A program that runs, with what tests need of Node's ChildProcess. It is no child of this process, which is large: to fork
 * it takes a guest a fifth of a second. A small one starts programs for it.
 */
export class Program extends EventEmitter<{ close: [] }> {
  readonly argv: readonly string[];
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  #exitCode: number | null | undefined;

  private constructor(argv: readonly string[]) {
    super();
    this.argv = argv;
  }

  /** Starts it in the network namespace of this file, else in that of this process. */
  static start(argv: readonly string[], namespace?: string): Program {
    const program = new Program(argv);
    starter ??= new Starter();
    starter.start(program, namespace);
    return program;
  }

  /** Undefined while it runs; null when a signal ended it; 127 when there is no such program. */
  get exitCode(): number | null | undefined {
    return this.#exitCode;
  }

  /** Sends a signal; nobody gets it once the program has ended. */
  kill(signal: NodeJS.Signals): void {
    starter?.kill(this, signal);
  }

  /** By the starter: the socket is one end of its stdin, stdout or stderr. */
  connect(which: string, socket: Socket): void {
    // Who ends before it has read everything is told by its exit code.
    socket.on("error", () => undefined);
    if (which === "in") this.stdin.pipe(socket);
    else socket.pipe(which === "out" ? this.stdout : this.stderr);
  }

  /** By the starter: it has ended. What it wrote may still be on its way, and need not be wanted by anybody. */
  async end(exitCode: number | null): Promise<void> {
    this.#exitCode = exitCode;
    const drained = [this.stdout, this.stderr].map(async (stream) => {
      if (stream.readableFlowing === null) stream.resume();
      if (!stream.readableEnded) await once(stream, "end");
    });
    await Promise.all(drained);
    this.emit("close");
  }
}

/** The process of starter.pl, which lives as long as this one. */
class Starter {
  readonly #programs = new Map<string, Program>();
  readonly #input: Socket;
  readonly #output: Socket;
  #count = 0;

  constructor() {
    const name = `kube-ipvs-test-${process.pid}`;
    createServer((socket) => this.#welcome(socket))
      .listen(`\0${name}`)
      .unref();
    const script = join(import.meta.dirname, "starter.pl");
    const child: ChildProcess = spawn("perl", [script, name], { stdio: ["pipe", "pipe", "inherit"] });
    child.unref();
    // Pipes of a child are sockets to Node.
    this.#input = child.stdin as Socket;
    this.#output = child.stdout as Socket;
    this.#input.unref();
    this.#output.unref();
    createInterface({ input: this.#output })
      .on("line", (line) => this.#hear(line))
      .on("close", () => {
        if (this.#programs.size > 0) throw new Error("The process that starts programs has ended");
      });
  }

  start(program: Program, namespace = "-"): void {
    const id = String(++this.#count);
    this.#programs.set(id, program);
    this.#output.ref();
    const words = program.argv.map((word) => Buffer.from(word).toString("hex"));
    this.#say("start", id, namespace, ...words);
  }

  kill(program: Program, signal: NodeJS.Signals): void {
    for (const [id, one] of this.#programs) if (one === program) this.#say("kill", id, signal.replace("SIG", ""));
  }

  #say(...words: readonly string[]): void {
    this.#input.write(`${words.join(" ")}\n`);
  }

  #hear(line: string): void {
    const [id = "", code, signal] = line.split(" ");
    void this.#programs
      .get(id)
      ?.end(signal === "0" ? Number(code) : null)
      .then(() => {
        this.#programs.delete(id);
        if (this.#programs.size === 0) this.#output.unref();
      });
  }

  /** A connection says in its first line what it is; what the program itself writes follows. */
  #welcome(socket: Socket): void {
    socket.once("data", (chunk: Buffer) => {
      const end = chunk.indexOf("\n");
      const [id = "", which = ""] = chunk.toString("latin1", 0, end).split(" ");
      socket.pause();
      if (chunk.length > end + 1) socket.unshift(chunk.subarray(end + 1));
      this.#programs.get(id)?.connect(which, socket);
    });
  }
}

/** Made when it is first needed. */
let starter: Starter | undefined;
