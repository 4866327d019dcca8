import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readManifests } from "../../../../src/sources/manifests/manifests.ts";
import { nodeObject, serviceCIDRObject, serviceObject, sliceObject } from "../../../support/objects/builders.ts";
import { api, fault, LISTED, Listening, short, web, writeManifest } from "../../../support/worlds/manifest-reading.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "manifests-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const write = (file: string, ...documents: readonly unknown[]) => writeManifest(join(folder, file), ...documents);

describe("reading once", () => {
  test("tells Nodes, ServiceCIDRs, slices and Services, each list followed by listed", async () => {
    const networks = serviceCIDRObject("kubernetes", ["10.96.0.0/16", "fd00:96::/108"]);
    await write(
      "shop.yaml",
      web(),
      sliceObject("shop/web-1", { endpoints: ["10.0.0.1"] }),
      nodeObject("node-a"),
      networks,
    );
    const { events, problems } = await readManifests(folder);
    expect(events.map(short)).toEqual([
      "+Node node-a",
      "listed nodes",
      "+ServiceCIDR kubernetes 10.96.0.0/16,fd00:96::/108",
      "listed servicecidrs",
      "+EndpointSlice shop/web-1",
      "listed endpointslices",
      "+Service shop/web 80",
      "listed services",
    ]);
    expect(problems).toEqual([]);
  });

  test("an empty folder is listed", async () => {
    expect((await readManifests(folder)).events.map(short)).toEqual(LISTED);
  });

  test("a path that does not exist is an error that names it", async () => {
    const path = join(folder, "none");
    await expect(readManifests(path)).rejects.toThrow(`Cannot read manifests at "${path}": ENOENT`);
  });

  test("a single file may have any name", async () => {
    await write("shop.manifest", web());
    expect((await readManifests(join(folder, "shop.manifest"))).events.map(short)).toContain("+Service shop/web 80");
  });

  test("of a folder only visible .yaml, .yml and .json files are read, and no folders", async () => {
    await write("a.yaml", web());
    await write("b.yml", api());
    await write("c.json", serviceObject("shop/c"));
    await write(".d.yaml", serviceObject("shop/d"));
    await write("e.txt", serviceObject("shop/e"));
    await mkdir(join(folder, "f.yaml"));
    await write("f.yaml/g.yaml", serviceObject("shop/g"));
    const { events, problems } = await readManifests(folder);
    expect(problems).toEqual([]);
    expect(events.map(short).filter((text) => text.startsWith("+"))).toEqual([
      "+Service shop/web 80",
      "+Service shop/api 80",
      "+Service shop/c 80",
    ]);
  });

  test("lists are opened, and items of a typed list need no kind", async () => {
    const { kind, apiVersion, ...bare } = web();
    const { kind: _kind, apiVersion: _version, ...bareSlice } = sliceObject("shop/web-1");
    await write(
      "lists.yaml",
      {
        apiVersion: "v1",
        kind: "List",
        items: [api(), nodeObject("node-a"), { apiVersion: "apps/v1", kind: "Deployment" }],
      },
      { apiVersion, kind: `${kind}List`, items: [bare] },
      { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSliceList", items: [bareSlice] },
      { apiVersion: "v1", kind: "NodeList", items: [nodeObject("node-b")] },
      { apiVersion: "v1", kind: "ServiceList", items: null },
    );
    const { events, problems } = await readManifests(folder);
    expect(events.map(short).filter((text) => text.startsWith("+"))).toEqual([
      "+Node node-a",
      "+Node node-b",
      "+EndpointSlice shop/web-1",
      "+Service shop/api 80",
      "+Service shop/web 80",
    ]);
    expect(problems).toEqual([]);
  });

  test("a namespace that is not told is default, and one object is the same with it", async () => {
    await write("a.yaml", serviceObject("web"), serviceObject("default/web"));
    const { events, problems } = await readManifests(folder);
    expect(events.map(short)).toContain("+Service default/web 80");
    expect(problems.map(fault)).toEqual([
      "Service default/web in file a.yaml document 2: metadata.name=default/web: is already defined in file a.yaml document 1, which is used",
    ]);
  });

  test("kinds of others are ignored without a word but the debug log's", async () => {
    await write(
      "a.yaml",
      { apiVersion: "apps/v1", kind: "Deployment" },
      { apiVersion: "serving.knative.dev/v1", kind: "Service", metadata: { name: "x" } },
    );
    const listening = new Listening(folder);
    expect(await listening.reread()).toEqual(LISTED);
    expect(listening.problems()).toEqual([]);
    expect(listening.logged).toEqual([
      '{"file":"a.yaml","objects":0,"ignoredKinds":["Deployment","Service of serving.knative.dev/v1"]}',
    ]);
  });
});

describe("listed", () => {
  test("waits until the folder can be read", async () => {
    const listening = new Listening(join(folder, "later"));
    expect(await listening.reread()).toEqual([]);
    await mkdir(join(folder, "later"));
    expect(await listening.reread()).toEqual(LISTED);
    expect(await listening.reread()).toEqual([]);
  });

  test("waits until every file could be read once: what is not known yet must not be deleted", async () => {
    await write("a.yaml", web());
    await symlink("nowhere", join(folder, "b.yaml"));
    const listening = new Listening(folder);
    expect(await listening.reread()).toEqual(["+Service shop/web 80"]);
    await write("nowhere", api());
    expect(await listening.reread()).toEqual([
      "listed nodes",
      "listed servicecidrs",
      "listed endpointslices",
      "+Service shop/api 80",
      "listed services",
    ]);
  });

  test("does not wait for what is merely wrong", async () => {
    await write("a.yaml", "spec: [");
    expect(await new Listening(folder).reread()).toEqual(LISTED);
  });
});

test("problems are told once for each change, the new ones apart", async () => {
  await write("a.yaml", { replicas: 1 });
  const listening = new Listening(folder);
  await listening.reread();
  const first = "file a.yaml document 1: kind=: is missing: this is not a Kubernetes object";
  expect(listening.problems()).toEqual([{ count: 1, fresh: [first] }]);
  await listening.reread();
  expect(listening.problems()).toEqual([]);
  await write("b.yaml", { replicas: 1 });
  await listening.reread();
  const second = first.replace("a.yaml", "b.yaml");
  expect(listening.problems()).toEqual([{ count: 2, fresh: [second] }]);
  await rm(join(folder, "a.yaml"));
  await listening.reread();
  expect(listening.problems()).toEqual([{ count: 1, fresh: [] }]);
});
