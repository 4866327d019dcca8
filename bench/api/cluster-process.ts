import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { ClusterSize } from "./cluster-objects.ts";

export type { ClusterSize };

/** An API server of a large cluster in a process of its own; disposing ends the process. */
export class ClusterProcess implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;

  constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill();
    await exited;
  }
}

/** Starts the server; resolves when it listens. */
export async function serveCluster({ services, endpoints }: ClusterSize): Promise<ClusterProcess> {
  const program = join(import.meta.dirname, "cluster-server.ts");
  const child = spawn(process.execPath, [program, `${services}`, `${endpoints}`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) return new ClusterProcess(child, line);
  throw new Error("the API server ended before it listened");
}
