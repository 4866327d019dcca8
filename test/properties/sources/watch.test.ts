import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { editService, servedServices } from "../../support/api/worlds/edited-services.ts";
import { SourceWorld } from "../../support/api/worlds/source-world.ts";
import { type Edit, edit, watchScript } from "../../support/api/worlds/watch-script.ts";
import { runWatchScript } from "../../support/api/worlds/watch-stage.ts";
import { randomFrom } from "../../support/hostile/random.ts";
import { cases } from "../../support/run/cases.ts";

test("after all faults exactly the objects of the servers are reported, and no version ever went backwards, even if one server lags", async () => {
  await fc.assert(
    fc.asyncProperty(watchScript, async (script) => {
      expect(await runWatchScript(script)).toEqual([]);
    }),
    { numRuns: cases(1_500, 100_000) },
  );
});

/** Faults of connections. */
type SocketAct =
  | Edit
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "reset" | "drop" | "end" | "go-away" | "refuse-streams" | "restart" | "restart-forgetting" };

const socketAct: fc.Arbitrary<SocketAct> = fc.oneof(
  { weight: 6, arbitrary: edit },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "reset" as const,
        "drop" as const,
        "end" as const,
        "go-away" as const,
        "refuse-streams" as const,
        "restart" as const,
        "restart-forgetting" as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(50, 3000, 29_000) }) },
);

test("after connection faults over TLS, with HTTP/2 and HTTP/1.1, exactly the objects of the servers are reported", async () => {
  const folder = await mkdtemp(join(tmpdir(), "watch-"));
  await fc.assert(
    fc.asyncProperty(fc.array(socketAct, { maxLength: 25 }), fc.boolean(), fc.nat(), async (acts, isHttp2, seed) => {
      const one = new SourceWorld();
      try {
        await one.serve({ protocol: isHttp2 ? "h2" : "http/1.1" });
        await writeFile(join(folder, "kubeconfig"), one.kubeconfig("{}"));
        await one.watch(join(folder, "kubeconfig"), "", randomFrom(seed));
        for (const [index, act] of acts.entries()) await performOnSocket(one, act, index + 1);
        await one.until("the server's truth", () => {
          return one.told.listed.size === 4 && isDeepStrictEqual(one.told.services, servedServices(one.model));
        });
        expect(one.told.faults).toEqual([]);
      } finally {
        await one.stop();
      }
    }),
    { numRuns: cases(50, 1_000) },
  );
  await rm(folder, { recursive: true });
});

async function performOnSocket(one: SourceWorld, act: SocketAct, revision: number): Promise<void> {
  switch (act.kind) {
    case "put":
    case "make-foreign":
    case "make-headless":
    case "delete":
      editService(one.model.store, act, revision);
      return;
    case "pass":
      await one.clock.advance(act.ms);
      return;
    case "reset":
      one.server.resetConnections();
      return;
    case "drop":
      one.server.dropConnections();
      return;
    case "end":
      one.model.endWatches("end");
      return;
    case "go-away":
      one.server.goAway();
      return;
    case "refuse-streams":
      one.server.refuseStreams(2);
      return;
    case "restart-forgetting":
      one.model.store.forgetHistory();
      await one.restart();
      return;
    case "restart":
      await one.restart();
  }
}
