import { expect, test } from "vitest";
import { serverAddresses } from "../../src/cluster-source.ts";

test("addresses are told of the servers that are given by address", () => {
  const urls = ["https://192.168.1.2:6443", "https://[fd00::2]:6443", "https://api.example.com", "http://10.0.0.1"];
  expect(serverAddresses(urls)).toEqual(["192.168.1.2", "fd00::2", "10.0.0.1"]);
});
