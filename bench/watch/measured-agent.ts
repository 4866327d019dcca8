import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildAgent } from "../../build.ts";
import { testKubeconfig } from "../api/kubeconfig.ts";
import type { Question } from "./agent-probe.ts";
import { bundleLikeAgent } from "./bundle.ts";
import type { Sample } from "./probe.ts";

const FLAGS = ["--conntrack-max-per-core=0", "--metrics-bind-address=", "--healthz-bind-address="];

export interface MeasuredAgentOptions {
  /** URL of the API server. */
  readonly url: string;
  readonly nodeName: string;
  /** Command-line flags of the agent. */
  readonly flags: readonly string[];
}

/** The agent as it is shipped, as a process on this machine; disposing ends it. */
export class MeasuredAgent implements AsyncDisposable {
  readonly #child: ChildProcess;
  #log = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#log += text;
    });
  }

  /** Starts the agent with these flags of Node. It makes the bundles in the folder. */
  static async start(
    folder: string,
    nodeFlags: readonly string[],
    { url, nodeName, flags }: MeasuredAgentOptions,
  ): Promise<MeasuredAgent> {
    await buildAgent(folder);
    const probe = await bundleLikeAgent(join(import.meta.dirname, "agent-probe.ts"), folder);
    const kubeconfig = join(folder, "kubeconfig");
    writeFileSync(kubeconfig, testKubeconfig(url));
    const program = [...nodeFlags, "--import", probe, join(folder, "kube-ipvs.mjs"), "run"];
    const child = spawn(
      process.execPath,
      [...program, ...FLAGS, ...flags, `--kubeconfig=${kubeconfig}`, `--hostname-override=${nodeName}`],
      { stdio: ["ignore", "pipe", "inherit", "ipc"] },
    );
    return new MeasuredAgent(child);
  }

  /** Resolves when the agent has logged this text; rejects with the log if the agent ends before. */
  logged(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (this.#log.includes(text)) resolve();
      };
      this.#child.stdout?.on("data", check);
      this.#child.once("close", () => reject(new Error(`the agent ended without logging "${text}": ${this.#log}`)));
      check();
    });
  }

  /** Restarts the counts of CPU and blocks. */
  reset(): void {
    this.#send("reset");
  }

  async sample(): Promise<Sample> {
    const answer = once(this.#child, "message");
    this.#send("sample");
    const [sample] = await answer;
    return sample;
  }

  #send(question: Question): void {
    this.#child.send(question);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exited;
  }
}
