import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { ended, type Namespace } from "../node/namespace.ts";
import type { Host } from "../node/netns.ts";
import type { Program } from "../node/program.ts";
import { eventually } from "../time/eventually.ts";

const PORT = 9090;

/** One sample of the result of a query. */
export interface QuerySample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A real Prometheus in a namespace, which scrapes an agent as the job "kube-proxy" of the cluster "test". */
export class Prometheus implements AsyncDisposable {
  readonly #namespace: Namespace;
  readonly #folder: string;
  readonly #program: Program;

  private constructor(namespace: Namespace, folder: string, program: Program) {
    this.#namespace = namespace;
    this.#folder = folder;
    this.#program = program;
  }

  /** Resolves when it answers queries. `scrape` has more fields of the scrape job, as in its configuration file. */
  static async start({ namespace }: Host, target: string, scrape: object = {}): Promise<Prometheus> {
    const folder = await mkdtemp("/run/kube-ipvs-prometheus-");
    const job = { job_name: "kube-proxy", static_configs: [{ targets: [target], labels: { cluster: "test" } }] };
    // JSON is YAML.
    const config = { global: { scrape_interval: "1s" }, scrape_configs: [{ ...job, ...scrape }] };
    await writeFile(join(folder, "prometheus.yml"), JSON.stringify(config));
    const program = namespace.start([
      "prometheus",
      ...["--config.file", join(folder, "prometheus.yml"), "--storage.tsdb.path", join(folder, "data")],
      ...["--web.listen-address", `127.0.0.1:${PORT}`, "--log.level", "error"],
    ]);
    const started = new Prometheus(namespace, folder, program);
    await eventually(() => started.query("1"), { withinMs: 60_000, everyMs: 200 });
    return started;
  }

  /** The samples of an instant query, now. Rejects if the expression is invalid or no answer comes. */
  async query(expression: string): Promise<readonly QuerySample[]> {
    const url = `http://127.0.0.1:${PORT}/api/v1/query`;
    const curl = ["curl", "--silent", "--show-error", "--get", "--data-urlencode", `query=${expression}`, url];
    const answer = JSON.parse(await this.#namespace.output(curl));
    expect(answer).toMatchObject({ status: "success" });
    const { resultType, result } = answer.data;
    if (resultType === "scalar") return [{ labels: {}, value: Number(result[1]) }];
    // The form of a vector in Prometheus' HTTP API.
    return (result as { metric: Record<string, string>; value: [number, string] }[]).map(({ metric, value }) => ({
      labels: metric,
      value: Number(value[1]),
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await ended(this.#program, "SIGKILL");
    await rm(this.#folder, { recursive: true, force: true });
  }
}
