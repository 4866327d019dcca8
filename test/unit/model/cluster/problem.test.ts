import { expect, test } from "vitest";
import {
  manifestPart,
  problemFields,
  problemObject,
  problemObjectText,
} from "../../../../src/model/cluster/problem.ts";

test.each([
  ["Service shop/web", problemObject("Service", "shop/web")],
  ["Node node-a", problemObject("Node", "node-a")],
  ["EndpointSlice without a valid name", problemObject("EndpointSlice", "")],
  ["Service shop/web in file a.yaml document 3", problemObject("Service", "shop/web", "file a.yaml document 3")],
  ["Service without a valid name in file a.yaml", problemObject("Service", "", "file a.yaml")],
  ["file a.yaml", manifestPart("file a.yaml")],
])("the object of a problem is written as %s", (text, object) => {
  expect(problemObjectText(object)).toBe(text);
});

test("a path is a namespace and a name, or a name alone", () => {
  expect(problemObject("Service", "shop/web")).toMatchObject({ namespace: "shop", name: "web" });
  expect(problemObject("Node", "node-a")).toMatchObject({ namespace: "", name: "node-a" });
});

test("fields of a problem come in the order in which they are shown", () => {
  const problem = { reason: "must be a port", value: "0", field: "spec", object: problemObject("Service", "shop/web") };
  expect(Object.entries(problemFields(problem)).flat()).toEqual([
    ...["object", "Service shop/web", "field", "spec"],
    ...["value", "0", "reason", "must be a port"],
  ]);
});
