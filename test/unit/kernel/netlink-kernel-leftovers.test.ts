import { describe, expect, test } from "vitest";
import { FakeNode } from "./fake-node.ts";
import { CHAINS, forwardSetup } from "./forward-setup.ts";

describe("what kube-proxy's other modes have left", () => {
  const left = () => {
    const node = new FakeNode();
    for (const family of [2, 10]) node.sets.tables.add(`${family} kube-proxy`);
    node.iptables.table("iptables", "filter").set("KUBE-EXTERNAL-SERVICES", ["-j DROP"]);
    const jump =
      '-m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-EXTERNAL-SERVICES';
    node.iptables.table("iptables", "filter").get("INPUT")?.push(jump, "-j DROP");
    return node;
  };
  const TABLES = ["IPv4", "IPv6"].map((family) => `nftables table "kube-proxy" of ${family}`);

  test("is a difference", async () => {
    const kernel = left().kernel(CHAINS);
    const { changed } = await kernel.inspect(forwardSetup());
    expect(changed.map(({ text }) => text)).toEqual(
      expect.arrayContaining([
        `kube-proxy's nftables mode has left table "kube-proxy" of IPv4`,
        `kube-proxy's nftables mode has left table "kube-proxy" of IPv6`,
        `kube-proxy's iptables mode has left rules in table "filter" of IPv4`,
      ]),
    );
    await kernel.close();
  });

  test("is removed when the Services are programmed, and a table that comes back shows another proxy", async () => {
    const node = left();
    const kernel = node.kernel(CHAINS);
    await kernel.writeRules({ ...forwardSetup(), leftovers: "serve" });
    expect(node.sets.tables.size).toBe(2);
    const first = await kernel.writeRules({ ...forwardSetup(), leftovers: "remove" });
    expect(first.changed).toEqual(expect.arrayContaining(TABLES.map((table) => `removed ${table}`)));
    expect(first).not.toHaveProperty("otherProxies");
    node.sets.tables.add("2 kube-proxy");
    const second = await kernel.writeRules({ ...forwardSetup(), leftovers: "remove" });
    expect(second.otherProxies).toEqual(["kube-proxy in nftables mode"]);
    await kernel.close();
  });

  test("is removed by cleanup, and rules of other programs stay", async () => {
    const node = left();
    const kernel = node.kernel(CHAINS);
    const { changed, warnings } = await kernel.remove(["IPv4", "IPv6"]);
    expect(warnings).toEqual([]);
    expect(changed.map(({ text }) => text)).toEqual(expect.arrayContaining(TABLES.map((table) => `removed ${table}`)));
    expect(node.sets.tables.size).toBe(0);
    expect(node.iptables.table("iptables", "filter").has("KUBE-EXTERNAL-SERVICES")).toBe(false);
    expect(node.iptables.table("iptables", "filter").get("INPUT")).toEqual(["-j DROP"]);
    await kernel.close();
  });
});
