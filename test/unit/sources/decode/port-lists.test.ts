import { expect, test } from "vitest";
import { portKey, type ServicePort } from "../../../../src/model/cluster/service.ts";
import { PortLists } from "../../../../src/sources/decode/port-lists.ts";

function port(name: string, number: number, nodePort = 0): ServicePort {
  return { key: portKey(name, "TCP"), protocol: "TCP", port: number, nodePort };
}

test("equal lists of ports are one", () => {
  const lists = new PortLists();
  const first = lists.share([port("http", 80), port("dns", 53)]);
  expect(lists.share([port("http", 80), port("dns", 53)])).toBe(first);
});

test.each([
  ["another number", [port("http", 81)]],
  ["another name", [port("", 80)]],
  ["another protocol", [{ ...port("http", 80), key: portKey("http", "UDP"), protocol: "UDP" as const }]],
  ["a node port", [port("http", 80, 30_080)]],
  ["one more", [port("http", 80), port("dns", 53)]],
  ["none", []],
])("%s makes another list of ports", (_, list) => {
  const lists = new PortLists();
  lists.share([port("http", 80)]);
  expect(lists.share(list)).toBe(list);
});

test("lists of ports are what they were after too many lists came to remember all", () => {
  const lists = new PortLists();
  for (let round = 0; round < 2; round++)
    for (let number = 1; number <= 5000; number++)
      expect(lists.share([port("http", number)])).toEqual([port("http", number)]);
});
