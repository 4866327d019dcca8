import { execFileSync } from "node:child_process";
import { appendFile, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { manifestPart, problemObjectText } from "../../../../src/model/cluster/problem.ts";
import { readManifests } from "../../../../src/sources/manifests/manifests.ts";
import { nodeObject, serviceObject, sliceObject } from "../../../support/objects/builders.ts";
import { eventually } from "../../../support/time/eventually.ts";
import {
  api,
  brokenPort,
  fault,
  LISTED,
  Listening,
  short,
  web,
  writeManifest,
} from "../../../support/worlds/manifest-reading.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "manifests-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const write = (file: string, ...documents: readonly unknown[]) => writeManifest(join(folder, file), ...documents);

describe("what is wrong is told with file, document, field and value, and the rest goes on", () => {
  test.each<[string, unknown, string]>([
    [
      "a field",
      brokenPort(443),
      "Service shop/web in file a.yaml document 2: spec.ports[1].port=0: must be a whole number from 1 to 65535",
    ],
    [
      "a name",
      { apiVersion: "v1", kind: "Service", metadata: {} },
      "Service without a valid name in file a.yaml document 2: metadata={}: must have a DNS subdomain as name, and a DNS label as namespace if any",
    ],
    [
      "a version",
      { ...sliceObject("shop/web-1"), apiVersion: "discovery.k8s.io/v1beta1" },
      "EndpointSlice shop/web-1 in file a.yaml document 2: apiVersion=discovery.k8s.io/v1beta1: must be discovery.k8s.io/v1",
    ],
    [
      "a version left out",
      { kind: "Service", metadata: { name: "web" } },
      "Service default/web in file a.yaml document 2: apiVersion=: must be v1",
    ],
    ["no kind", { replicas: 3 }, "file a.yaml document 2: kind=: is missing: this is not a Kubernetes object"],
    ["no object", "just text", "file a.yaml document 2: kind=: is missing: this is not a Kubernetes object"],
    [
      "a list",
      { apiVersion: "v1", kind: "List", items: { a: 1 } },
      'file a.yaml document 2: items={"a":1}: must be a list',
    ],
    [
      "an item",
      { apiVersion: "v1", kind: "List", items: [{}] },
      "file a.yaml document 2 items[0]: kind=: is missing: this is not a Kubernetes object",
    ],
  ])("%s", async (_, wrong, expected) => {
    await write("a.yaml", api(), wrong, nodeObject("node-a"));
    const { events, problems } = await readManifests(folder);
    expect(problems.map(fault)).toEqual([expected]);
    expect(events.map(short)).toEqual(expect.arrayContaining(["+Service shop/api 80", "+Node node-a"]));
  });

  test("a document that cannot be parsed", async () => {
    await write("a.yaml", api(), "spec: [", nodeObject("node-a"));
    const { events, problems } = await readManifests(folder);
    expect(problems).toMatchObject([
      { object: manifestPart("file a.yaml document 2"), field: expect.stringMatching(/^line \d+$/) },
    ]);
    expect(events.map(short)).toEqual(expect.arrayContaining(["+Service shop/api 80", "+Node node-a"]));
  });

  test("the good parts of an object without a better version", async () => {
    await write("a.yaml", brokenPort(443));
    expect((await readManifests(folder)).events.map(short)).toContain("+Service shop/web 443");
  });

  test("of an object in two files the first by file name is used, whatever it says", async () => {
    await write("b.yaml", web(80));
    await write("a.yaml", serviceObject("shop/web", { ip: "None" }));
    const { events, problems } = await readManifests(folder);
    expect(events.map(short)).toEqual(LISTED);
    expect(problems.map((one) => problemObjectText(one.object))).toEqual([
      "Service shop/web in file b.yaml document 1",
    ]);
  });
});

describe("an object that is made to break its reader costs itself alone", () => {
  const lists = (count: number) => `{kind: List, items: [`.repeat(count) + "]}".repeat(count);
  const metadata = "apiVersion: v1, kind: Service, metadata:";
  test.each<[string, string, RegExp | undefined]>([
    [
      "a label that is no text",
      `{${metadata} {name: x, labels: {k8s-app: {toString: x}}}, spec: {}}`,
      /Service default\/x/,
    ],
    [
      "another proxy's label that is no text",
      `{${metadata} {name: x, labels: {service.kubernetes.io/service-proxy-name: {toString: x}}}}`,
      undefined,
    ],
    [
      "a family that is no text",
      `{${metadata} {name: x}, spec: {clusterIPs: [10.0.0.9], ipFamilies: [{toString: x}]}}`,
      /spec.ipFamilies has \{"toString":"x"\}/,
    ],
    [
      "an annotation that is no text",
      `{${metadata} {name: x, annotations: {kube-ipvs.io/scheduler: {toString: x}}}}`,
      /x/,
    ],
    ["a version that is no text", `{apiVersion: {toString: x}, kind: Service, metadata: {name: x}}`, /must be v1/],
    ["a circular alias", `{${metadata} &m {name: x, labels: *m}}`, /anchor "m" contains itself/],
    ["a list that contains itself", "&l {kind: List, items: [*l, *l]}", /anchor "l" contains itself/],
    ["nine lists in each other", lists(9), /is nested in more than 8 lists/],
    ["20,000 lists in each other", lists(20_000), /./],
    ["items that are a deep map", `{kind: List, items: ${"{a: ".repeat(90)}1${"}".repeat(90)}}`, /must be a list/],
  ])("%s", async (_, wrong, expected) => {
    await write("a.yaml", api(), wrong, nodeObject("node-a"));
    await write("b.yaml", web());
    const listening = new Listening(folder);
    const events = await listening.reread();
    expect(events).toEqual(expect.arrayContaining(["+Service shop/api 80", "+Service shop/web 80", "+Node node-a"]));
    const told = listening.problems().flatMap(({ fresh }) => fresh);
    if (expected === undefined) expect(told).toEqual([]);
    else expect(told.join()).toMatch(expected);
    expect(told.filter((text) => !text.includes("file a.yaml document 2"))).toEqual([]);
  });

  test("JSON lists in each other, too deep for YAML", async () => {
    await writeFile(join(folder, "a.json"), '{"kind":"List","items":['.repeat(20_000) + "]}".repeat(20_000));
    await write("b.yaml", web());
    const { events, problems } = await readManifests(folder);
    expect(events.map(short)).toContain("+Service shop/web 80");
    expect(problems.map(fault)).toEqual([expect.stringMatching(/^file a\.json .*is nested in more than 8 lists/)]);
  });
});

describe("a file that cannot be read as text is told by its name, and the others are read", () => {
  test.each<[string, string, (path: string) => unknown, RegExp]>([
    ["a FIFO", "a.yaml", (path) => execFileSync("mkfifo", [path]), /it is a FIFO, not a regular file/],
    ["a device", "a.yaml", (path) => symlink("/dev/zero", path), /it is a device, not a regular file/],
    ["a link to itself", "a.yaml", (path) => symlink("a.yaml", path), /ELOOP/],
    ["a link that leads nowhere", "a.yaml", (path) => symlink("none", path), /ENOENT/],
    [
      "text of another encoding",
      "a.yaml",
      (path) => writeFile(path, "name: caf\u00e9", "latin1"),
      /it is not UTF-8 text/,
    ],
    ["UTF-16", "a.json", (path) => writeFile(path, '\ufeff{"a": 1}', "utf16le"), /it is not UTF-8 text/],
    ["NUL bytes", "a.yaml", (path) => writeFile(path, "a: \0"), /byte 3 is NUL/],
    ["too much YAML", "a.yaml", (path) => sparse(path, 33), /34603008 bytes, more than 32 MiB/],
    ["too much JSON", "a.json", (path) => sparse(path, 257), /269484032 bytes, more than 256 MiB/],
  ])("%s", async (_, file, make, reason) => {
    await make(join(folder, file));
    await write("b.yaml", web());
    const { events, problems } = await readManifests(folder);
    expect(events.map(short)).toContain("+Service shop/web 80");
    expect(problems).toEqual([
      { object: manifestPart(`file ${file}`), field: "", value: "", reason: expect.stringMatching(reason) },
    ]);
  });

  test("a socket", async () => {
    const server = createServer().listen(join(folder, "a.yaml"));
    await eventually(() => expect(server.listening).toBe(true));
    const { problems } = await readManifests(folder);
    server.close();
    expect(problems.map(({ reason }) => reason)).toEqual(["cannot be read: it is a socket, not a regular file"]);
  });

  test("a file that is written to while it is read", async () => {
    const path = join(folder, "a.yaml");
    await sparse(path, 30);
    let isRead = false;
    const reading = readManifests(folder).finally(() => {
      isRead = true;
    });
    while (!isRead) await appendFile(path, "#");
    expect((await reading).problems.map(({ reason }) => reason)).toEqual([
      "cannot be read: it changed while it was read",
    ]);
  });

  test("a FIFO in the place of the manifests themselves is an error, and nothing waits for a writer", async () => {
    const path = join(folder, "fifo");
    execFileSync("mkfifo", [path]);
    await expect(readManifests(path)).rejects.toThrow(
      `Cannot read manifests at "${path}": it is a FIFO, not a regular file`,
    );
  });

  test("a byte order mark is no part of the text", async () => {
    await writeFile(join(folder, "a.json"), `\ufeff${JSON.stringify(web())}`);
    expect((await readManifests(folder)).events.map(short)).toContain("+Service shop/web 80");
  });

  async function sparse(path: string, mib: number): Promise<void> {
    await writeFile(path, "");
    await truncate(path, mib * 1_048_576);
  }
});
