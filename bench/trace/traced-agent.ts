import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../../src/config/config.ts";
import { systemClock } from "../../src/process/system-clock.ts";
import { ApiModel } from "../../test/support/api/api-model.ts";
import { ApiServer } from "../../test/support/api/api-server.ts";
import type { ApiPath, JsonObject } from "../../test/support/api/store.ts";
import { nodeObject, serviceObject, sliceObject } from "../../test/support/objects/builders.ts";
import { testKubeconfig } from "../api/kubeconfig.ts";
import { traceEnd } from "./this-node.ts";

registerHooks({
  resolve: (specifier, context, next) =>
    next(specifier === "./this-node.ts" ? new URL("this-node.ts", import.meta.url).href : specifier, context),
});
const { run } = await import("../../src/commands/run.ts");

/**
 * The `run` command in this process, before an API server of its own with one Service, over TLS. The kernel of the node is
 * a scripted netlink peer; disposing of it ends it all.
 */
export class TracedAgent implements AsyncDisposable {
  readonly #model = new ApiModel(systemClock);
  readonly #folder = mkdtempSync(join(tmpdir(), "kube-ipvs-trace-"));
  readonly #stop = new AbortController();
  readonly #endpoints = ["10.244.1.1", "10.244.1.2"];
  #server: ApiServer | undefined;
  #running: Promise<number> | undefined;

  /** Resolves when the first lists are complete. */
  async start(): Promise<void> {
    this.#put("/api/v1/nodes", nodeObject("n1", { ips: ["192.168.1.10"] }));
    this.#put("/api/v1/services", serviceObject("shop/web", { ip: "10.96.0.10" }));
    this.addEndpoint("10.244.1.3");
    this.#server = await ApiServer.start(this.#model);
    const kubeconfig = join(this.#folder, "kubeconfig");
    writeFileSync(kubeconfig, testKubeconfig(this.#server.url));
    const given = (flag: string, text: string) => ({ source: flag, text });
    const { config } = readConfig({
      nodeName: given("--node-name", "n1"),
      kubeconfig: given("--kubeconfig", kubeconfig),
      metricsBindAddress: given("--metrics-bind-address", ""),
      healthzBindAddress: given("--healthz-bind-address", ""),
    });
    await new Promise<void>((resolve, reject) => {
      const out = (text: string) => {
        if (text.includes("first lists complete")) resolve();
      };
      this.#running = run(
        { config, effective: {}, flags: {}, file: "", notice: "" },
        () => ({ kind: "version" }),
        { out, err: out },
        this.#stop.signal,
      );
      this.#running.then(() => reject(new Error("The agent ended before its first lists were complete")), reject);
    });
  }

  /** Adds a ready endpoint on another node to the Service. */
  addEndpoint(ip: string): void {
    this.#endpoints.push(ip);
    const endpoints = this.#endpoints.map((one) => ({ ip: one, ready: true, node: "n2" }));
    this.#put("/apis/discovery.k8s.io/v1/endpointslices", sliceObject("shop/web-1", { endpoints }));
  }

  #put(path: ApiPath, object: Record<string, unknown>): void {
    // The builders give every object its metadata.
    this.#model.store.put(path, object as JsonObject);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    traceEnd.resolve();
    await this.#running;
    await this.#server?.close();
    rmSync(this.#folder, { recursive: true });
  }
}
