import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { NODE_FLAGS } from "../../../build.ts";
import { BUNDLE } from "../run/bundle.ts";
import { eventually } from "../time/eventually.ts";
import type { HttpAnswer } from "../traffic/client.ts";
import { ended, type Finished } from "./namespace.ts";
import type { TestNode } from "./netns.ts";
import type { Program } from "./program.ts";

const MAIN = join(import.meta.dirname, "../../../src/main.ts");
const METRICS_PORT = 10_249;
const HEALTH_PORT = 10_256;

/** Pods of every TestNode. */
export const CLUSTER_CIDR = "10.244.0.0/16,fd00:244::/32";

/** Where an agent gets its Services from. */
export interface AgentSource {
  /** The flags that say so. */
  readonly flags: readonly string[];
}

/** A folder of manifests for an agent, on the tmpfs that is ours. */
export class ManifestFolder implements AgentSource, AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(): Promise<ManifestFolder> {
    return new ManifestFolder(await mkdtemp("/run/kube-ipvs-test-"));
  }

  get flags(): readonly string[] {
    return ["--manifests", this.path];
  }

  /** Writes a file at once, so that it is never read half. */
  async put(file: string, objects: readonly object[]): Promise<void> {
    const hidden = join(this.path, `.${file}`);
    await writeFile(hidden, JSON.stringify({ kind: "List", items: objects }));
    await rename(hidden, join(this.path, file));
  }

  async remove(file: string): Promise<void> {
    await rm(join(this.path, file), { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** Runs a command of kube-ipvs on the node to its end. */
export function kubeIpvs(node: TestNode, ...argv: readonly string[]): Promise<Finished> {
  return node.node.namespace.finished(command(node, [...NODE_FLAGS, BUNDLE, ...argv]));
}

/**
 * With its code kept compiled between starts, which are many here and slow in a guest. Every node has a lock of iptables
 * to itself, as machines have: who finds it taken waits for a second.
 */
function command({ name }: TestNode, argv: readonly string[]): readonly string[] {
  const environment = ["NODE_COMPILE_CACHE=/run/kube-ipvs-compiled", `XTABLES_LOCKFILE=/run/xtables-${name}.lock`];
  return ["env", ...environment, process.execPath, ...argv];
}

/** The flags by which every command here knows the node and what it is to hold. */
export function flagsFor(node: TestNode, source: AgentSource): readonly string[] {
  return [
    ...source.flags,
    ...["--hostname-override", node.name, "--cluster-cidr", CLUSTER_CIDR],
    // The conntrack limit is the machine's, not a namespace's.
    ...["--conntrack-max-per-core", "0"],
    // Nodes share the file system of this machine.
    ...["--state-socket", stateSocket(node)],
  ];
}

/** The unix socket of the agent of the node. */
export function stateSocket({ name }: TestNode): string {
  return `/run/kube-ipvs-${name}/state.sock`;
}

/** What the agent of the node answers to curl at its unix socket. */
export function askAgent(node: TestNode, path: string): Promise<string> {
  return node.prints(`curl -sS --unix-socket ${stateSocket(node)} 'http://agent${path}'`);
}

/** The whole agent, as a process on the node. */
export class AgentProcess implements AsyncDisposable {
  readonly #node: TestNode;
  readonly #program: Program;
  readonly #log: string[] = [];

  private constructor(node: TestNode, program: Program) {
    this.#node = node;
    this.#program = program;
    program.stdout.setEncoding("utf8").on("data", (chunk: string) => this.#log.push(chunk));
  }

  /** Starts it from the bundle that ships; it may be anywhere in its start when this returns. */
  static start(node: TestNode, source: AgentSource, ...more: readonly string[]): AgentProcess {
    return AgentProcess.#start(node, [...NODE_FLAGS, BUNDLE, "run", ...flagsFor(node, source), ...more]);
  }

  /** Starts it from its sources, which takes twice as long. */
  static startSources(node: TestNode, source: AgentSource, ...more: readonly string[]): AgentProcess {
    return AgentProcess.#start(node, [MAIN, "run", ...flagsFor(node, source), ...more]);
  }

  /** The agent as this process, which was started on the node. */
  static of(node: TestNode, program: Program): AgentProcess {
    return new AgentProcess(node, program);
  }

  static #start(node: TestNode, argv: readonly string[]): AgentProcess {
    return new AgentProcess(node, node.node.namespace.start(command(node, argv)));
  }

  /** What it has logged. */
  get log(): string {
    return this.#log.join("");
  }

  /** Resolves as soon as it has logged the text so many times. */
  logged(text: string, times = 1): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => {
      if (this.log.split(text).length > times) resolve();
    };
    this.#program.stdout.on("data", look);
    this.#program.once("close", () => reject(new Error(`The agent ended without saying "${text}": ${this.log}`)));
    look();
    return promise.finally(() => this.#program.stdout.off("data", look));
  }

  /** Resolves when it has done its first sync; rejects with its log when it does not. */
  async ready(): Promise<void> {
    try {
      await eventually(async () => expect(await this.#readiness()).toBe(200), { withinMs: 60_000, everyMs: 100 });
    } catch (error) {
      throw new Error(`The agent is not ready: ${this.log}`, { cause: error });
    }
  }

  async #readiness(): Promise<number> {
    if (this.#program.exitCode !== undefined) throw new Error(`It ended with ${this.#program.exitCode}`);
    return (await this.readyz()).status;
  }

  /** The answer of /readyz. */
  readyz(): Promise<HttpAnswer> {
    return this.#get(HEALTH_PORT, "/readyz");
  }

  /** The answer of /livez. */
  livez(): Promise<HttpAnswer> {
    return this.#get(HEALTH_PORT, "/livez");
  }

  /** The text of /metrics. */
  async metricsText(): Promise<string> {
    return (await this.#get(METRICS_PORT, "/metrics")).body;
  }

  /** Its metrics, by name with labels as they are printed. */
  async metrics(): Promise<Metrics> {
    return parseMetrics(await this.metricsText());
  }

  #get(port: number, path: string): Promise<HttpAnswer> {
    return this.#node.client(this.#node.node).get("127.0.0.1", port, path);
  }

  /** As `kill -9`. */
  async kill(): Promise<void> {
    await ended(this.#program, "SIGKILL");
  }

  /** Stops it in its tracks: nothing is mended while `work` runs. */
  async whilePaused<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#program.kill("SIGSTOP");
    try {
      return await work();
    } finally {
      this.#program.kill("SIGCONT");
    }
  }

  /** As a DaemonSet ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#program, "SIGTERM");
  }
}

/** Samples of one scrape. */
export type Metrics = ReadonlyMap<string, number>;

function parseMetrics(text: string): Metrics {
  const samples = text.split("\n").flatMap((line): [string, number][] => {
    const sample = /^([^#\s]\S*(?:\{[^}]*\})?) (\S+)$/.exec(line);
    return sample === null ? [] : [[sample[1] ?? "", Number(sample[2])]];
  });
  return new Map(samples);
}

/** The sum of the samples whose name with labels matches. */
export function sumOf(metrics: Metrics, pattern: RegExp): number {
  return [...metrics].reduce((sum, [name, value]) => (pattern.test(name) ? sum + value : sum), 0);
}
