import { expect, test } from "vitest";
import { type PageView, ROWS } from "../../../../src/explain/page/page-messages.ts";
import { type IndexedService, ServiceIndex } from "../../../../src/explain/page/service-index.ts";
import { serviceName } from "../../../../src/model/cluster/service.ts";

function service(path: string, severity: IndexedService["severity"], address: string): IndexedService {
  const [namespace = "", name = ""] = path.split("/");
  return { name: serviceName(namespace, name), severity, text: `${path} ${address}:80/tcp` };
}

const index = new ServiceIndex([
  service("shop/web", "ok", "10.96.0.10"),
  service("shop/cart", "warning", "10.96.0.11"),
  service("billing/web", "error", "fd00:96::12"),
  service("billing/api", "info", "10.96.1.10"),
]);
const find = (view: Partial<PageView>) =>
  index.find({ search: "", onlyProblems: false, offset: 0, service: "", ...view });

test.each<[string, Partial<PageView>, readonly string[]]>([
  ["all by their names", {}, ["billing/api", "billing/web", "shop/cart", "shop/web"]],
  ["by a part of the name", { search: "web" }, ["billing/web", "shop/web"]],
  ["by namespace and name in any order", { search: "  WEB  shop " }, ["shop/web"]],
  ["by address", { search: "10.96.0." }, ["shop/cart", "shop/web"]],
  ["by an address of IPv6", { search: "fd00:96::12" }, ["billing/web"]],
  ["by address and port", { search: "10.96.0.10:80" }, ["shop/web"]],
  ["only errors and warnings", { onlyProblems: true }, ["billing/web", "shop/cart"]],
  ["nothing", { search: "nothing like it" }, []],
])("finds %s", (_, view, names) => {
  expect(find(view)).toEqual({ total: names.length, names });
});

test("counts Services by their worst finding", () => {
  expect(index.counts).toEqual({ total: 4, errors: 1, warnings: 1 });
});

test("returns one page and the number of all matches", () => {
  const many = Array.from({ length: 10_000 }, (_, number) =>
    service(`many/s-${String(number).padStart(5, "0")}`, "ok", "10.0.0.1"),
  );
  const all = new ServiceIndex(many.toReversed());
  const page = (offset: number) => all.find({ search: "many", onlyProblems: false, offset, service: "" });
  expect(page(0)).toEqual({ total: 10_000, names: many.slice(0, ROWS).map(({ name }) => name) });
  expect(page(9_990).names).toEqual(many.slice(9_990).map(({ name }) => name));
  expect(page(20_000)).toEqual({ total: 10_000, names: [] });
});
