import { isUtf8 } from "node:buffer";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Problem } from "../../../src/model/cluster/problem.ts";
import type { ClusterEvent } from "../../../src/services/cluster-event.ts";
import { ManifestReader } from "../../../src/sources/manifests/manifests.ts";
import { bytesOf, changed, hostileDocument } from "../../support/hostile/hostile-manifests.ts";
import { serviceObject, sliceObject } from "../../support/objects/builders.ts";
import { cases } from "../../support/run/cases.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hostile-manifests-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Objects whose names no change makes up. */
const OTHER = [serviceObject("keep/other", { ip: "10.96.9.1" })];
const BEFORE = serviceObject("keep/before", { ip: "10.96.9.2" });
const AFTER = sliceObject("keep/after-1", { endpoints: ["10.244.9.1"] });

/** A folder of two files as an agent sees it, of which one is written again and again. */
class ManifestWorld {
  /** What is in force, by name. */
  readonly held = new Map<string, string>();
  readonly fresh: Problem[] = [];
  /** How much is wrong. */
  wrong = 0;
  readonly #file: string;
  readonly #source: ManifestReader;

  constructor(path: string, file: string) {
    this.#file = join(path, file);
    this.#source = new ManifestReader(path, {
      onEvent: (event) => this.#take(event),
      onProblems: (count, fresh) => {
        this.wrong = count;
        this.fresh.push(...fresh);
      },
      logger: { debug: () => {} },
    });
  }

  async write(text: string | Buffer): Promise<void> {
    await writeFile(this.#file, text);
    await this.#source.reread();
  }

  #take(event: ClusterEvent): void {
    switch (event.kind) {
      case "service-upserted":
        this.held.set(`Service ${event.service.name}`, JSON.stringify(event.service));
        break;
      case "slice-upserted":
        this.held.set(`EndpointSlice ${event.slice.name}`, JSON.stringify([...event.slice.endpoints]));
        break;
      case "node-upserted":
        this.held.set(`Node ${event.node.name}`, JSON.stringify(event.node));
        break;
      case "servicecidr-upserted":
        this.held.set(`ServiceCIDR ${event.cidr.name}`, JSON.stringify(event.cidr));
        break;
      case "service-deleted":
        this.held.delete(`Service ${event.name}`);
        break;
      case "slice-deleted":
        this.held.delete(`EndpointSlice ${event.name}`);
        break;
      case "node-deleted":
        this.held.delete(`Node ${event.name}`);
        break;
      case "servicecidr-deleted":
        this.held.delete(`ServiceCIDR ${event.name}`);
        break;
      case "listed":
        break;
    }
  }
}

/** A problem of a whole object or file says this where the reason is an exception of ours. */
const EXCEPTION = /^cannot be (decoded|parsed): /;

/** Whether the file can be read at all. JSON may have a key twice, YAML may not. */
function isReadable(file: string, bytes: Buffer): boolean {
  if (!isUtf8(bytes) || bytes.includes(0)) return false;
  const text = bytes.toString();
  return (file.endsWith(".json") && isAccepted(() => JSON.parse(text))) || isAccepted(() => parseYaml(text));
}

function isAccepted(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

function parseYaml(text: string): void {
  const documents = parseAllDocuments(text, { merge: true, logLevel: "error" });
  for (const error of documents.flatMap(({ errors }) => errors)) throw error;
}

/** A world in which the file was good, then bad, then good again. What must stay, stays; in the end nothing is left of the bad one. */
async function survives(file: string, good: string, bad: Buffer, around: readonly string[]): Promise<void> {
  const world = new ManifestWorld(folder, file);
  await writeFile(join(folder, "first.json"), JSON.stringify({ apiVersion: "v1", kind: "List", items: OTHER }));
  await world.write(good);
  const before = new Map(world.held);
  expect(before.size).toBe(3);
  await world.write(bad);
  for (const name of ["Service keep/other", ...around]) expect(world.held.get(name), name).toBe(before.get(name));
  // What can be read of it may say something else of an object that it names; one that it does not name is not gone by that.
  const unnamed = [...before.keys()].filter((name) => !bad.includes(name.replace(/.*\//, "")));
  if (!isReadable(file, bad)) expect([...world.held.keys()]).toEqual(expect.arrayContaining(unnamed));
  expect(world.fresh.filter(({ reason }) => EXCEPTION.test(reason))).toEqual([]);
  await world.write(good);
  expect(world.held).toEqual(before);
  expect(world.wrong).toBe(0);
  await rm(join(folder, file));
}

const seeds = fc.array(fc.noBias(fc.nat()), { minLength: 1, maxLength: 6 });
const runs = cases(120, 50_000);

test("whatever a document of a file is made into, the documents around it and other files stay in force", async () => {
  const [first, last] = [BEFORE, AFTER].map((object) => JSON.stringify(object));
  const good = `${first}\n---\n${last}\n`;
  await fc.assert(
    fc.asyncProperty(seeds, fc.nat(), async (changes, seed) => {
      const bad = bytesOf(`${first}\n---\n${hostileDocument(changes)}\n---\n${last}\n`, seed);
      // A byte that was changed may be one of theirs.
      const isWhole = bad.includes(`${first}\n---\n`) && bad.includes(`\n---\n${last}\n`);
      await survives("shop.yaml", good, bad, isWhole ? ["Service keep/before", "EndpointSlice keep/after-1"] : []);
    }),
    { numRuns: runs },
  );
});

test.each(["shop.yaml", "shop.json"])(
  "whatever %s is made into, other files stay in force, and it is read when it is good again",
  async (file) => {
    const good = JSON.stringify({ apiVersion: "v1", kind: "List", items: [BEFORE, AFTER] }, undefined, 1);
    await fc.assert(
      fc.asyncProperty(seeds, fc.nat(), async (changes, seed) => {
        await survives(file, good, bytesOf(changed(good, changes), seed), []);
      }),
      { numRuns: Math.ceil(runs / 2) },
    );
  },
);
