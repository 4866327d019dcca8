import { expect, test } from "vitest";
import type { PageView } from "../../../src/explain/page/page-messages.ts";
import { hashOf, viewOf } from "../../../src/ui/route.ts";

const LIST: PageView = { search: "", onlyProblems: false, offset: 0, service: "" };

test.each<[string, PageView]>([
  ["#/", LIST],
  ["#/?search=web+shop%2Fa", { ...LIST, search: "web shop/a" }],
  ["#/?problems=true&offset=50", { ...LIST, onlyProblems: true, offset: 50 }],
  ["#/service/shop/web", { ...LIST, service: "shop/web" }],
  ["#/service/shop/web?search=web&offset=50", { ...LIST, service: "shop/web", search: "web", offset: 50 }],
])("%s is a view, and the view has this fragment", (hash, view) => {
  expect(viewOf(hash)).toEqual(view);
  expect(hashOf(view)).toBe(hash);
});

test.each(["", "#", "#nothing", "#/?offset=-50", "#/?offset=x", "#/service/"])("%j is the list", (hash) => {
  expect(viewOf(hash)).toEqual(LIST);
});

test("a fragment that cannot be decoded is taken as it is", () => {
  expect(viewOf("#/service/a%zz/b").service).toBe("a%zz/b");
});
