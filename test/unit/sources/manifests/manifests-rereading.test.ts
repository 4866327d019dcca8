import { mkdir, mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type NodeSpec, nodeObject, serviceObject, sliceObject } from "../../../support/objects/builders.ts";
import { api, brokenPort, Listening, web, writeManifest } from "../../../support/worlds/manifest-reading.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "manifests-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const write = (file: string, ...documents: readonly unknown[]) => writeManifest(join(folder, file), ...documents);
const started = () => Listening.started(folder);

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
    const listening = new Listening(folder);
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
