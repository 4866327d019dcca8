import { execFileSync } from "node:child_process";
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { manifestPart, type Problem, problemObjectText } from "../../../../src/model/cluster/problem.ts";
import type { ClusterEvent } from "../../../../src/services/cluster-event.ts";
import { ManifestReader, readManifests, watchManifests } from "../../../../src/sources/manifests/manifests.ts";
import {
  type NodeSpec,
  nodeObject,
  serviceCIDRObject,
  serviceObject,
  sliceObject,
} from "../../../support/objects/builders.ts";
import { eventually } from "../../../support/time/eventually.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "manifests-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const web = (port = 80) => serviceObject("shop/web", { ports: [port] });
const api = (port = 80) => serviceObject("shop/api", { ip: "10.96.0.11", ports: [port] });
const brokenPort = (good: number) =>
  serviceObject("shop/web", {
    ports: [
      { name: "good", port: good },
      { name: "bad", port: 0 },
    ],
  });

/** Writes documents: objects as JSON, which is YAML too, texts as they are. */
async function write(file: string, ...documents: readonly unknown[]): Promise<void> {
  const texts = documents.map((document) =>
    typeof document === "string" ? document : JSON.stringify(document, null, 2),
  );
  await writeFile(join(folder, file), texts.join("\n---\n"));
}

/** An event in short: "+Service shop/web 80", "-EndpointSlice shop/web-1", "listed nodes". */
function short(event: ClusterEvent): string {
  switch (event.kind) {
    case "service-upserted":
      return `+Service ${event.service.name} ${event.service.ports.map((port) => port.port).join(",")}`;
    case "slice-upserted":
      return `+EndpointSlice ${event.slice.name}`;
    case "node-upserted":
      return `+Node ${event.node.name}`;
    case "service-deleted":
      return `-Service ${event.name}`;
    case "slice-deleted":
      return `-EndpointSlice ${event.name}`;
    case "node-deleted":
      return `-Node ${event.name}`;
    case "servicecidr-upserted":
      return `+ServiceCIDR ${event.cidr.name} ${event.cidr.networks.map(({ text }) => text).join(",")}`;
    case "servicecidr-deleted":
      return `-ServiceCIDR ${event.name}`;
    case "listed":
      return `listed ${event.resource}`;
  }
}

const LISTED = ["listed nodes", "listed servicecidrs", "listed endpointslices", "listed services"];
const fault = ({ object, field, value, reason }: Problem) =>
  `${problemObjectText(object)}: ${field}=${value}: ${reason}`;

/** A source that remembers what it told since it was last asked. */
class Listening {
  readonly source: ManifestReader;
  readonly logged: string[] = [];
  readonly #events: string[] = [];
  readonly #problems: { count: number; fresh: string[] }[] = [];

  constructor(path = folder) {
    this.source = new ManifestReader(path, this);
  }
  readonly onEvent = (event: ClusterEvent) => this.#events.push(short(event));
  readonly onProblems = (count: number, fresh: readonly Problem[]) =>
    this.#problems.push({ count, fresh: fresh.map(fault) });
  readonly logger = { debug: (fields: object) => this.logged.push(JSON.stringify(fields)) };

  async reread(): Promise<readonly string[]> {
    await this.source.reread();
    return this.#events.splice(0);
  }
  /** What onProblems was called with since the last time. */
  problems() {
    return this.#problems.splice(0);
  }
}

/** A source that has read the folder once. */
async function started(): Promise<Listening> {
  const listening = new Listening();
  await listening.reread();
  listening.problems();
  return listening;
}

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
    const listening = new Listening();
    expect(await listening.reread()).toEqual(LISTED);
    expect(listening.problems()).toEqual([]);
    expect(listening.logged).toEqual([
      '{"file":"a.yaml","objects":0,"ignoredKinds":["Deployment","Service of serving.knative.dev/v1"]}',
    ]);
  });
});

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
    const listening = new Listening();
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

describe("rereading tells differences alone", () => {
  test("nothing, when nothing changed, or only what a proxy does not read", async () => {
    await write("a.yaml", web());
    const listening = await started();
    expect(await listening.reread()).toEqual([]);
    await write("a.yaml", serviceObject("shop/web", { labels: { team: "a" } }));
    expect(await listening.reread()).toEqual([]);
  });

  test("new, changed and vanished objects", async () => {
    await write("a.yaml", web(), api(), sliceObject("shop/web-1"), nodeObject("node-a"));
    const listening = await started();
    await write("a.yaml", web(81), api(), sliceObject("shop/web-2"), nodeObject("node-b"));
    expect(await listening.reread()).toEqual([
      "+Node node-b",
      "-Node node-a",
      "+EndpointSlice shop/web-2",
      "-EndpointSlice shop/web-1",
      "+Service shop/web 81",
    ]);
  });

  test.each<[string, NodeSpec]>([
    ["zone", { zone: "z2", ips: ["192.168.0.1"], podCIDRs: ["10.1.0.0/24"] }],
    ["addresses", { zone: "z1", ips: ["192.168.0.2"], podCIDRs: ["10.1.0.0/24"] }],
    ["pod networks", { zone: "z1", ips: ["192.168.0.1"], podCIDRs: ["10.2.0.0/24"] }],
    [
      "taint for deletion",
      { zone: "z1", ips: ["192.168.0.1"], podCIDRs: ["10.1.0.0/24"], taints: ["ToBeDeletedByClusterAutoscaler"] },
    ],
  ])("a Node whose %s changed", async (_, said) => {
    await write("a.yaml", nodeObject("node-a", { zone: "z1", ips: ["192.168.0.1"], podCIDRs: ["10.1.0.0/24"] }));
    const listening = await started();
    await write("a.yaml", nodeObject("node-a", said));
    expect(await listening.reread()).toEqual(["+Node node-a"]);
  });

  test("an object that moves to another file is not touched", async () => {
    await write("a.yaml", web(), api());
    const listening = await started();
    await write("a.yaml", api());
    await write("b.yaml", web());
    expect(await listening.reread()).toEqual([]);
  });

  test("a Service that becomes headless is deleted", async () => {
    await write("a.yaml", web());
    const listening = await started();
    await write("a.yaml", serviceObject("shop/web", { ip: "None" }));
    expect(await listening.reread()).toEqual(["-Service shop/web"]);
  });

  test("when the first of two definitions goes the second takes over", async () => {
    await write("a.yaml", web(80));
    await write("b.yaml", web(81));
    const listening = await started();
    await rm(join(folder, "a.yaml"));
    expect(await listening.reread()).toEqual(["+Service shop/web 81"]);
    expect(listening.problems()).toEqual([{ count: 0, fresh: [] }]);
  });

  test("an empty folder and a vanished file are deletions", async () => {
    await write("a.yaml", web());
    const listening = await started();
    await rm(join(folder, "a.yaml"));
    expect(await listening.reread()).toEqual(["-Service shop/web"]);
  });

  test("a mounted ConfigMap is followed when its link is swapped", async () => {
    await mkdir(join(folder, "..v1"));
    await mkdir(join(folder, "..v2"));
    await write("..v1/a.yaml", web(80));
    await write("..v2/a.yaml", web(81));
    await symlink("..v1", join(folder, "..data"));
    await symlink("..data/a.yaml", join(folder, "a.yaml"));
    const listening = new Listening();
    expect(await listening.reread()).toContain("+Service shop/web 80");
    await symlink("..v2", join(folder, "..data_tmp"));
    await rename(join(folder, "..data_tmp"), join(folder, "..data"));
    expect(await listening.reread()).toEqual(["+Service shop/web 81"]);
  });
});

describe("what broke keeps its last good version", () => {
  test("an object with a wrong field, until it is mended", async () => {
    await write("a.yaml", web(80), api(80));
    const listening = await started();
    await write("a.yaml", brokenPort(443), api(81));
    expect(await listening.reread()).toEqual(["+Service shop/api 81"]);
    await write("a.yaml", web(82), api(81));
    expect(await listening.reread()).toEqual(["+Service shop/web 82"]);
  });

  test("an object that lost its address or its version", async () => {
    await write("a.yaml", web(80), api(80));
    const listening = await started();
    await write("a.yaml", serviceObject("shop/web", { ip: [] }), { ...api(81), apiVersion: "v2" });
    expect(await listening.reread()).toEqual([]);
    expect(listening.problems()).toMatchObject([{ count: 2 }]);
  });

  test("without a good version newer good parts replace older ones", async () => {
    await write("a.yaml", brokenPort(443));
    const listening = await started();
    await write("a.yaml", brokenPort(444));
    expect(await listening.reread()).toEqual(["+Service shop/web 444"]);
  });

  test("without a good version the good parts stay when nothing good is left", async () => {
    await write("a.yaml", brokenPort(443));
    const listening = await started();
    await write("a.yaml", { ...brokenPort(443), spec: 7 });
    expect(await listening.reread()).toEqual([]);
  });

  test("an object that moved and broke, when then the file breaks where it is now", async () => {
    await write("a.yaml", web(80));
    const listening = await started();
    await write("a.yaml", "");
    await write("b.yaml", brokenPort(443));
    expect(await listening.reread()).toEqual([]);
    await write("b.yaml", "spec: [");
    expect(await listening.reread()).toEqual([]);
  });

  test("the objects of a document that cannot be parsed, while other documents go on", async () => {
    await write("a.yaml", web(80), api(80));
    await write("b.yaml", nodeObject("node-a"));
    const listening = await started();
    await write("a.yaml", "spec: [", api(81));
    await rm(join(folder, "b.yaml"));
    expect(await listening.reread()).toEqual(["-Node node-a", "+Service shop/api 81"]);
    await write("a.yaml", api(81));
    expect(await listening.reread()).toEqual(["-Service shop/web"]);
  });

  test("everything, while the folder is gone", async () => {
    await write("a.yaml", web(), { replicas: 1 });
    const listening = await started();
    await rename(folder, `${folder}-away`);
    expect(await listening.reread()).toEqual([]);
    const gone = `manifests: =${folder}: cannot be read: ENOENT; the last known objects stay in use`;
    expect(listening.problems()).toEqual([{ count: 2, fresh: [gone] }]);
    await rename(`${folder}-away`, folder);
    expect(await listening.reread()).toEqual([]);
    expect(listening.problems()).toEqual([{ count: 1, fresh: [] }]);
  });

  test("the objects of a single file, while it is gone", async () => {
    await write("a.yaml", web());
    const listening = new Listening(join(folder, "a.yaml"));
    await listening.reread();
    await rm(join(folder, "a.yaml"));
    expect(await listening.reread()).toEqual([]);
  });

  test("the objects of a file in a folder that cannot be read", async () => {
    await write("a.yaml", web());
    await write("b.yaml", api());
    const listening = await started();
    await rm(join(folder, "a.yaml"));
    await symlink("nowhere", join(folder, "a.yaml"));
    expect(await listening.reread()).toEqual([]);
    expect(listening.problems()).toEqual([{ count: 1, fresh: ["file a.yaml: =: cannot be read: ENOENT"] }]);
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
    const listening = new Listening();
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
    expect(await new Listening().reread()).toEqual(LISTED);
  });
});

test("problems are told once for each change, the new ones apart", async () => {
  await write("a.yaml", { replicas: 1 });
  const listening = new Listening();
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

describe("watching", () => {
  const stop = new AbortController();
  const watched = (path: string, events: string[], pollMs: number, signal = stop.signal) =>
    watchManifests(path, {
      onEvent: (event) => events.push(short(event)),
      onProblems: () => undefined,
      logger: { debug: () => undefined },
      signal,
      settleMs: 5,
      pollMs,
    });

  test("a change is noticed by itself and an abort ends it", async () => {
    await write("a.yaml", web(80));
    const events: string[] = [];
    const abort = new AbortController();
    const running = watched(folder, events, 60_000, abort.signal);
    await eventually(() => expect(events).toContain("+Service shop/web 80"));
    await write("a.yaml", web(81));
    await eventually(() => expect(events).toContain("+Service shop/web 81"));
    abort.abort();
    await running;
  });

  test("a single file that is replaced is followed", async () => {
    await write("a.yaml", web(80));
    const events: string[] = [];
    const abort = new AbortController();
    const running = watched(join(folder, "a.yaml"), events, 60_000, abort.signal);
    await eventually(() => expect(events).toContain("+Service shop/web 80"));
    await write("new", web(81));
    await rename(join(folder, "new"), join(folder, "a.yaml"));
    await eventually(() => expect(events).toContain("+Service shop/web 81"));
    abort.abort();
    await running;
  });

  test("a single file that went away is found again when it comes back", async () => {
    await write("a.yaml", web(80));
    const told: string[] = [];
    const abort = new AbortController();
    const running = watchManifests(join(folder, "a.yaml"), {
      onEvent: (event) => told.push(short(event)),
      onProblems: (count) => told.push(`${count} wrong`),
      logger: { debug: () => undefined },
      signal: abort.signal,
      settleMs: 5,
      pollMs: 60_000,
    });
    await eventually(() => expect(told).toContain("+Service shop/web 80"));
    await rm(join(folder, "a.yaml"));
    await eventually(() => expect(told).toContain("1 wrong"));
    await write("a.yaml", web(81));
    await eventually(() => expect(told).toContain("+Service shop/web 81"));
    abort.abort();
    await running;
  });

  test("a folder that comes later is found by polling", async () => {
    const path = join(folder, "not", "yet");
    const events: string[] = [];
    const abort = new AbortController();
    const running = watched(path, events, 10, abort.signal);
    await mkdir(path, { recursive: true });
    await write("not/yet/a.yaml", web(80));
    await eventually(() => expect(events).toContain("+Service shop/web 80"));
    abort.abort();
    await running;
  });

  test("what the listener throws ends it", async () => {
    const failing = watchManifests(folder, {
      onEvent: () => {
        throw new Error("no more");
      },
      onProblems: () => undefined,
      logger: { debug: () => undefined },
      signal: stop.signal,
    });
    await expect(failing).rejects.toThrow("no more");
  });
});
