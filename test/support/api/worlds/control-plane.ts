import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../../../src/process/system-clock.ts";
import type { AgentSource } from "../../node/agent-process.ts";
import { output } from "../../node/namespace.ts";
import type { TestNode } from "../../node/netns.ts";
import { ApiModel } from "../api-model.ts";
import { ApiServer, type ApiServerOptions, testTls } from "../api-server.ts";
import type { ApiPath, JsonObject } from "../store.ts";

const HOST = "172.30.0.1";
const NODE_HOST = "172.30.0.2";

const PATHS: Readonly<Record<string, ApiPath>> = {
  Service: "/api/v1/services",
  EndpointSlice: "/apis/discovery.k8s.io/v1/endpointslices",
  Node: "/api/v1/nodes",
  ServiceCIDR: "/apis/networking.k8s.io/v1/servicecidrs",
};

/** Files that a kubeconfig names; each can be replaced while an agent runs. */
export interface Credentials {
  readonly ca: "a" | "b";
  /** Client certificate; none without. */
  readonly client?: "a" | "b";
  /** Bearer token; none without. */
  readonly token?: string;
}

/**
 * An API server over TLS, at the end of a cable that is plugged into the node: it serves from the namespace and process of
 * the test, which so holds its objects and its life in its hands. Time is real.
 */
export class ControlPlane implements AgentSource, AsyncDisposable {
  readonly model = new ApiModel(systemClock);
  readonly #folder: string;
  readonly #ports: number[] = [];
  #servers: ApiServer[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Serves as soon as it resolves. */
  static async create(node: TestNode, options: ApiServerOptions = {}): Promise<ControlPlane> {
    const made = new ControlPlane(await mkdtemp("/run/kube-ipvs-test-"));
    const { name } = node.node.namespace;
    const commands = [
      `link add cable type veth peer name cable netns ${name}`,
      `addr add ${HOST}/24 dev cable`,
      "link set cable up",
    ];
    await output(["ip", "-batch", "-"], commands.join("\n"));
    await node.prints(`ip addr add ${NODE_HOST}/24 dev cable`, "&& ip link set cable up");
    await made.serve(options);
    await made.credentials({ ca: options.certificate ?? "a" });
    return made;
  }

  /** The kubeconfig, and where the servers are now. */
  get flags(): readonly string[] {
    const urls = this.#ports.map((port) => `https://${HOST}:${port}`);
    return ["--kubeconfig", this.#path("kubeconfig"), "--master", urls.join(",")];
  }

  /** The server that was started last. */
  get server(): ApiServer {
    const last = this.#servers.at(-1);
    if (last === undefined) throw new Error("No server was started");
    return last;
  }

  /** Starts one more server of the same objects. */
  async serve(options: ApiServerOptions = {}): Promise<ApiServer> {
    const server = await ApiServer.start(this.model, { ...options, host: HOST });
    this.#servers.push(server);
    if (!this.#ports.includes(server.port)) this.#ports.push(server.port);
    return server;
  }

  /** Ends all servers, as a kill does. */
  async kill(): Promise<void> {
    const dead = this.#servers;
    this.#servers = [];
    await Promise.all(dead.map((server) => server.close()));
  }

  /** Starts servers where there were some. */
  async revive(options: ApiServerOptions = {}): Promise<void> {
    for (const port of this.#ports) await this.serve({ ...options, port });
  }

  put(...objects: readonly object[]): void {
    for (const object of objects) {
      const { kind, ...rest } = object as JsonObject & { kind: string }; // as the builders make them
      this.model.store.put(pathOf(kind), rest);
    }
  }

  delete(kind: string, name: string): void {
    this.model.store.delete(pathOf(kind), name);
  }

  /** Deletes every object, so that a test begins without those of the test before it, also if that one has failed. */
  deleteAll(): void {
    for (const path of Object.values(PATHS))
      for (const key of [...this.model.store.collections[path].objects.keys()]) this.model.store.delete(path, key);
  }

  /** Writes what agents are let in with, each file at once. */
  async credentials({ ca, client, token }: Credentials): Promise<void> {
    const user = {
      ...(client === undefined ? {} : { "client-certificate": "client.crt", "client-key": "client.key" }),
      ...(token === undefined ? {} : { tokenFile: "token" }),
    };
    await this.#write("ca.crt", testTls(ca).cert);
    if (token !== undefined) await this.#write("token", token);
    if (client !== undefined) {
      await this.#write("client.key", testTls(client).key);
      await this.#write("client.crt", testTls(client).cert);
    }
    const cluster = {
      server: "https://kubernetes.invalid",
      "certificate-authority": "ca.crt",
      "tls-server-name": "localhost",
    };
    const text = JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "x",
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      clusters: [{ name: "c", cluster }],
      users: [{ name: "u", user }],
    });
    await this.#write("kubeconfig", text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true });
    // The other end goes with it.
    await output(["ip", "link", "delete", "cable"]);
  }

  async #write(file: string, text: string): Promise<void> {
    await writeFile(this.#path(`.${file}`), text);
    await rename(this.#path(`.${file}`), this.#path(file));
  }

  #path(file: string): string {
    return join(this.#folder, file);
  }
}

function pathOf(kind: string): ApiPath {
  const path = PATHS[kind];
  if (path === undefined) throw new Error(`No path of "${kind}"`);
  return path;
}
