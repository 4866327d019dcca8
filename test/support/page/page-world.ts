import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { buildPage } from "../../../packaging/page/build-page.ts";
import { type PageDependencies, PageState } from "../../../src/commands/diagnosis/page-state.ts";
import type { VirtualServerKey } from "../../../src/model/kernel/ipvs.ts";
import type { RealTraffic, ServerTraffic } from "../../../src/model/kernel/traffic.ts";
import { httpServer } from "../../../src/serve/http-server.ts";
import { readPageFiles } from "../../../src/serve/page/page-files.ts";
import { addPageRoutes } from "../../../src/serve/page/page-routes.ts";
import type { RunningAgent } from "../worlds/running-agent.ts";

/** What the page reads of a kernel in memory: traffic is 7 packets in and 5 out for each connection. */
export function readableKernel({ kernel }: RunningAgent): PageDependencies["kernel"] {
  return {
    connections: (keys) => kernel.connections(keys),
    traffic: async (keys) => {
      const { servers } = await kernel.observe(keys);
      return new Map(
        Array.from(servers, ([key, { server, reals }]): [VirtualServerKey, ServerTraffic] => [
          key,
          {
            server,
            reals: Array.from(reals, (real): RealTraffic => {
              const { active, inactive } = kernel.connectionsOf(key, real.key);
              const connections = active + inactive;
              const [packetsIn, packetsOut] = [connections * 7, connections * 5];
              return {
                real,
                active,
                inactive,
                connections,
                packetsIn,
                packetsOut,
                bytesIn: packetsIn * 90,
                bytesOut: packetsOut * 700,
              };
            }),
          },
        ]),
      );
    },
  };
}

/** The status page of an agent in memory, as browsers see it. */
export class PageWorld implements AsyncDisposable {
  readonly url: string;
  readonly #server: FastifyInstance;
  readonly #folder: string;

  private constructor(url: string, server: FastifyInstance, folder: string) {
    this.url = url;
    this.#server = server;
    this.#folder = folder;
  }

  static async of(agent: RunningAgent): Promise<PageWorld> {
    const folder = await mkdtemp(join(tmpdir(), "kube-ipvs-page-"));
    await buildPage(folder);
    const { clock, history } = agent;
    const source = new PageState({ agent: agent.shown, kernel: readableKernel(agent), history, clock, nextTurn });
    const server = httpServer();
    addPageRoutes(server, { files: () => readPageFiles(folder), source, clock });
    const url = await server.listen({ host: "127.0.0.1", port: 0 });
    return new PageWorld(`${url}/ui`, server, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close();
    await rm(this.#folder, { recursive: true });
  }
}
