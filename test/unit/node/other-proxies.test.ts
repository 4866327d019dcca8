import { expect, test } from "vitest";
import { OtherProxies } from "../../../src/node/other-proxies.ts";

test("a proxy is named until twenty preparations have found no trace of it", () => {
  const proxies = new OtherProxies();
  proxies.observe(["kube-proxy in ipvs mode"]);
  expect(proxies.describe()).toEqual([expect.stringContaining("kube-proxy in ipvs mode works on this node")]);
  for (let index = 0; index < 19; index++) proxies.observe([]);
  expect(proxies.describe()).toHaveLength(1);
  proxies.observe(["kube-proxy in ipvs mode"]);
  for (let index = 0; index < 20; index++) proxies.observe([]);
  expect(proxies.describe()).toEqual([]);
});
