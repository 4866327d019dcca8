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

/** Objects with names that no change generates. */
const OTHER = [serviceObject("keep/other", { ip: "10.96.9.1" })];
const BEFORE = serviceObject("keep/before", { ip: "10.96.9.2" });
const AFTER = sliceObject("keep/after-1", { endpoints: ["10.244.9.1"] });

/** A folder of two files, of which one is rewritten repeatedly. */
class ManifestWorld {
  /** The objects in force, by name. */
  readonly inForce = new Map<string, string>();
  readonly fresh: Problem[] = [];
  /** The number of problems. */
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
        this.inForce.set(`Service ${event.service.name}`, JSON.stringify(event.service));
        break;
      case "slice-upserted":
        this.inForce.set(`EndpointSlice ${event.slice.name}`, JSON.stringify([...event.slice.endpoints]));
        break;
      case "node-upserted":
        this.inForce.set(`Node ${event.node.name}`, JSON.stringify(event.node));
        break;
      case "servicecidr-upserted":
        this.inForce.set(`ServiceCIDR ${event.cidr.name}`, JSON.stringify(event.cidr));
        break;
      case "service-deleted":
        this.inForce.delete(`Service ${event.name}`);
        break;
      case "slice-deleted":
        this.inForce.delete(`EndpointSlice ${event.name}`);
        break;
      case "node-deleted":
        this.inForce.delete(`Node ${event.name}`);
        break;
      case "servicecidr-deleted":
        this.inForce.delete(`ServiceCIDR ${event.name}`);
        break;
      case "listed":
        break;
    }
  }
}

/** The reason of a problem that an exception of our code caused. */
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

/** A world in which the file was valid, then invalid, then valid again. Objects of other documents stay, and finally nothing of the invalid file is left. */
async function survives(file: string, good: string, bad: Buffer, around: readonly string[]): Promise<void> {
  const world = new ManifestWorld(folder, file);
  await writeFile(join(folder, "first.json"), JSON.stringify({ apiVersion: "v1", kind: "List", items: OTHER }));
  await world.write(good);
  const before = new Map(world.inForce);
  expect(before.size).toBe(3);
  await world.write(bad);
  for (const name of ["Service keep/other", ...around]) expect(world.inForce.get(name), name).toBe(before.get(name));
  // A readable part may change an object that it names; an object that it does not name is not deleted.
  const unnamed = [...before.keys()].filter((name) => !bad.includes(name.replace(/.*\//, "")));
  if (!isReadable(file, bad)) expect([...world.inForce.keys()]).toEqual(expect.arrayContaining(unnamed));
  expect(world.fresh.filter(({ reason }) => EXCEPTION.test(reason))).toEqual([]);
  await world.write(good);
  expect(world.inForce).toEqual(before);
  expect(world.wrong).toBe(0);
  await rm(join(folder, file));
}

const seeds = fc.array(fc.noBias(fc.nat()), { minLength: 1, maxLength: 6 });
const runs = cases(120, 50_000);

test("after any change of one document the other documents of the file and other files stay in force", async () => {
  const [first, last] = [BEFORE, AFTER].map((object) => JSON.stringify(object));
  const good = `${first}\n---\n${last}\n`;
  await fc.assert(
    fc.asyncProperty(seeds, fc.nat(), async (changes, seed) => {
      const bad = bytesOf(`${first}\n---\n${hostileDocument(changes)}\n---\n${last}\n`, seed);
      // A changed byte may belong to another document.
      const isWhole = bad.includes(`${first}\n---\n`) && bad.includes(`\n---\n${last}\n`);
      await survives("shop.yaml", good, bad, isWhole ? ["Service keep/before", "EndpointSlice keep/after-1"] : []);
    }),
    { numRuns: runs },
  );
});

test.each(["shop.yaml", "shop.json"])(
  "after any change of %s other files stay in force, and it is read when it is valid again",
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
