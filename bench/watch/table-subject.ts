/**
 * Runs the agent's watch layer with its table, with the API server of a kubeconfig: `node table-subject.mjs
 * KUBECONFIG`.
 */

import { EventRecorder } from "../../src/events/event-recorder.ts";
import { tuneHeap } from "../../src/process/heap.ts";
import { systemClock } from "../../src/process/system-clock.ts";
import { ServiceTable } from "../../src/services/service-table.ts";
import { watchApiServer } from "../../src/sources/api/api-source.ts";
import { SILENT_LOGGER } from "../../test/support/api/worlds/silent-logger.ts";
import { runSubject } from "./subject.ts";
import { countsOf } from "./table-counts.ts";

tuneHeap();
await runSubject(async (kubeconfig, complete) => {
  const table = new ServiceTable();
  await watchApiServer(
    { kubeconfig, servers: [], root: "", env: {}, nodeName: "node-0" },
    {
      clock: systemClock,
      random: Math.random,
      logger: SILENT_LOGGER,
      events: new EventRecorder("node-0", { clock: systemClock, random: Math.random, logger: SILENT_LOGGER }),
      signal: new AbortController().signal,
      onEvent: (event) => {
        table.apply(event);
        if (event.kind === "listed" && table.listed) complete();
      },
      onProblems: (_count, fresh) => {
        throw new Error(JSON.stringify(fresh[0]));
      },
    },
  );
  return () => countsOf(table);
});
