/**
 * Measures for how long the metrics of the traffic of Services keep the event loop: `node bench/parts/turns.ts FOLDER`. The kernel is
 * a fake, because its requests take turns of their own. Each stretch without a turn counts with its shortest time of all scrapes,
 * because other programs of the machine only make it longer.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { parseAddress } from "../../src/model/address.ts";
import { virtualServerKey } from "../../src/model/kernel/ipvs.ts";
import { ServiceTraffic } from "../../src/serve/metrics/traffic/service-traffic.ts";
import { SILENT_LOGGER } from "../../test/support/api/worlds/silent-logger.ts";
import { short } from "../report/statistics.ts";
import { writePart } from "./write-part.ts";

const SCRAPES = 25;
/** Longer than the pause between two readings. */
const STEP_MS = 10_000;
const CASES = [
  [10_000, 50],
  [10_000, 1_000],
  [10_000, Number.POSITIVE_INFINITY],
  [50_000, 100],
] as const;

/** Measures the stretches between `begin` and `end`, in order; `restart` begins with the first one again. */
class Stretches {
  readonly least: number[] = [];
  #next = 0;
  #startedMs = 0;

  restart(): void {
    this.#next = 0;
    this.begin();
  }

  begin(): void {
    this.#startedMs = performance.now();
  }

  end(): void {
    const ms = performance.now() - this.#startedMs;
    this.least[this.#next] = Math.min(this.least[this.#next] ?? ms, ms);
    this.#next++;
  }
}

async function longestStretch(services: number, limit: number): Promise<number> {
  const stretches = new Stretches();
  const turn = async () => {
    stretches.end();
    await nextTurn();
    stretches.begin();
  };
  const servers = Array.from({ length: services }, (_, index) => {
    const address = parseAddress(`10.96.${index >> 8}.${index & 255}`);
    if (address === undefined) throw new Error("the address is malformed");
    return {
      key: virtualServerKey("TCP", address, 80),
      port: { namespace: `team-${index % 50}`, service: `service-${index}`, port: "http" },
    };
  });
  let scrape = 1;
  const traffic = new ServiceTraffic(
    { limit, showsServers: true },
    {
      servers: () => servers,
      read: async (keys) => {
        await turn();
        const counts = (index: number) => ({
          connections: scrape * index,
          packetsIn: scrape * 10,
          packetsOut: scrape * 9,
          bytesIn: scrape * 1_000 * index,
          bytesOut: scrape * 5_000,
        });
        return new Map([...keys].map((key, index) => [key, counts(index)]));
      },
      clock: { now: () => scrape * STEP_MS },
      logger: SILENT_LOGGER,
      nextTurn: turn,
      onRead: () => {},
    },
  );
  for (; scrape <= SCRAPES; scrape++) {
    stretches.restart();
    await traffic.text();
    stretches.end();
  }
  return Math.max(...stretches.least);
}

const rows: string[][] = [];
for (const [services, limit] of CASES) {
  rows.push([
    `${services}`,
    limit === Number.POSITIVE_INFINITY ? "all" : `${limit}`,
    `${short(await longestStretch(services, limit))} ms`,
  ]);
}
const text = `Node.js ${process.version}, ${new Date().toISOString().slice(0, 10)}: \`npm run bench -- turns\``;
writePart(process.argv[2] ?? ".", "turns", {
  text,
  rows: [["Services", "limit", "longest turn"], ...rows],
  figures: rows,
});
