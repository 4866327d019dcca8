import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { nameSuffix } from "../../packaging/kustomize/config-map.ts";
import { render } from "../../packaging/kustomize/render.ts";
import { strategicMerge } from "../../packaging/kustomize/strategic-merge.ts";

/** The values of TestConfigMapHash in kubectl, whose hash kustomize has too. */
test.each([
  [{ one: "" }, "9g67k2htb6"],
  [{ two: "2", one: "", three: "3" }, "f5h7t85m9b"],
])("the suffix of a ConfigMap with %o is that of kubectl", (data, suffix) => {
  expect(nameSuffix("", data)).toBe(suffix);
});

describe("a strategic merge", () => {
  const pod = {
    containers: [
      { name: "a", args: ["--x"], env: [{ name: "E", value: "1" }], image: "i" },
      { name: "b", image: "j" },
    ],
    tolerations: [{ operator: "Exists" }],
  };

  test("merges containers and variables by name, and replaces other lists", () => {
    const patch = {
      containers: [
        {
          name: "a",
          args: ["--y"],
          env: [
            { name: "F", value: "2" },
            { name: "E", value: "3" },
          ],
        },
        { name: "c" },
      ],
      tolerations: [],
    };
    expect(strategicMerge(pod, patch)).toEqual({
      containers: [
        {
          name: "a",
          args: ["--y"],
          env: [
            { name: "E", value: "3" },
            { name: "F", value: "2" },
          ],
          image: "i",
        },
        { name: "b", image: "j" },
        { name: "c" },
      ],
      tolerations: [],
    });
  });

  test("removes fields that are null and elements that are deleted", () => {
    const patch = {
      containers: [
        { name: "a", $patch: "delete" },
        { name: "b", image: null },
      ],
      tolerations: null,
    };
    expect(strategicMerge(pod, patch)).toEqual({ containers: [{ name: "b" }] });
  });
});

/** A folder with these files. */
async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kustomize-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

test("a generated ConfigMap gets a name by its data, which all references follow, and a component changes the data before that", async () => {
  const files = {
    "base/kustomization.yaml":
      "resources: [pod.yaml]\nconfigMapGenerator: [{name: c, envs: [c.env]}]\nimages: [{name: i, newName: r/i, digest: 'sha256:1'}]",
    "base/c.env": "# a comment\n\none=\n",
    "base/pod.yaml":
      "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: i, env: [{name: E, valueFrom: {configMapKeyRef: {name: c, key: one}}}]}]}",
    "component/kustomization.yaml":
      "kind: Component\nconfigMapGenerator: [{name: c, behavior: merge, literals: ['one=1']}]",
    "kustomization.yaml": "resources: [base]\ncomponents: [component]",
  };
  const folder = await folderWith(files);
  const named = async (from: string, data: Readonly<Record<string, string>>) => {
    const [map, pod] = render(from);
    const name = `c-${nameSuffix("c", data)}`;
    expect(map).toMatchObject({ kind: "ConfigMap", metadata: { name }, data });
    expect(pod).toMatchObject({
      spec: { containers: [{ image: "r/i@sha256:1", env: [{ valueFrom: { configMapKeyRef: { name } } }] }] },
    });
  };
  await named(join(folder, "base"), { one: "" });
  await named(folder, { one: "1" });
});

test.each([
  ["a field that is not supported", "commonLabels: {a: b}", /the field "commonLabels", which is not supported/],
  ["a patch without a target", "patches: [{path: p.yaml, target: {kind: Pod, name: q}}]", /there is no Pod "q"/],
  ["a merge without a ConfigMap", "configMapGenerator: [{name: c, behavior: merge}]", /There is no ConfigMap "c"/],
  ["a line that is no pair", "configMapGenerator: [{name: c, literals: [x]}]", /"x" is not KEY=VALUE/],
])("%s is an error", async (_, text, message) => {
  const folder = await folderWith({ "kustomization.yaml": text, "p.yaml": "kind: Pod" });
  expect(() => render(folder)).toThrow(message);
});
