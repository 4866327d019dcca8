import { describe, expect, test } from "vitest";
import type { TableState } from "../../../../src/kernel/kernel.ts";
import { FakeIptables, NAT, NOTHING, RULES, setup } from "./fake-iptables.ts";

const isNatOfIPv4 = ({ family, table }: TableState) => family === "IPv4" && table === "nat";

describe("another service proxy", () => {
  const OF_KUBE_PROXY = '-m comment --comment "Kubernetes service lb portal" -j KUBE-LOAD-BALANCER';

  test("rules of a kube-proxy that is taken over are no sign of another proxy, and later ones are", async () => {
    const { fake, client } = await setup();
    const rewrite = () => fake.table("iptables", "nat").set("KUBE-SERVICES", [OF_KUBE_PROXY]);
    rewrite();
    expect(await client.apply(RULES)).not.toHaveProperty("otherProxies");
    rewrite();
    expect(await client.apply(RULES)).toMatchObject({ otherProxies: ["kube-proxy in ipvs mode"] });
    expect(await client.apply(RULES)).toMatchObject(NOTHING);
  });

  test("a table that a kube-proxy rewrites all the time is left to it in between", async () => {
    const { fake, client } = await setup();
    const writes: number[] = [];
    const right: number[] = [];
    for (let round = 0; round < 12; round++) {
      fake.table("iptables", "nat").set("KUBE-SERVICES", [OF_KUBE_PROXY]);
      const { changed, tables } = await client.apply(RULES);
      if (changed.includes('wrote table "nat" of IPv4')) writes.push(round);
      if (tables?.find(isNatOfIPv4)?.isDesired) right.push(round);
    }
    expect([writes, right]).toEqual([
      [0, 1, 2, 3, 4, 7],
      [0, 1, 2, 3, 4, 7],
    ]);
  });

  test("leftovers of the iptables mode are removed when asked, and are a sign of another proxy when they come back", async () => {
    const { fake, client } = await setup();
    const leave = () => {
      fake.table("iptables", "filter").set("KUBE-EXTERNAL-SERVICES", ["-j DROP"]);
      fake.table("iptables", "filter").get("INPUT")?.push("-j KUBE-EXTERNAL-SERVICES");
    };
    leave();
    await client.apply(RULES);
    expect(fake.table("iptables", "filter").has("KUBE-EXTERNAL-SERVICES")).toBe(true);
    const removed = `removed rules of kube-proxy's iptables mode from table "filter" of IPv4`;
    expect(await client.apply(RULES, "remove")).toMatchObject({ changed: [removed], failures: [] });
    expect(fake.table("iptables", "filter").has("KUBE-EXTERNAL-SERVICES")).toBe(false);
    expect(fake.table("iptables", "filter").get("INPUT")).toEqual([]);
    leave();
    expect(await client.apply(RULES, "remove")).toMatchObject({
      changed: [removed],
      otherProxies: ["kube-proxy in iptables mode"],
    });
  });

  test("the iptables mode goes on serving until its rules are replaced and removed at once", async () => {
    const fake = new FakeIptables();
    const serving = ["-d 10.96.0.1/32 -p tcp -j KUBE-SVC-ER7CJFNRDF32Y53D"];
    fake.table("iptables", "nat").set("KUBE-SERVICES", serving).set("KUBE-SVC-ER7CJFNRDF32Y53D", ["-j ACCEPT"]);
    const { client } = await setup(fake);
    expect(await client.apply(RULES, "serve")).toMatchObject({
      changed: ['wrote table "filter" of IPv4', 'wrote table "nat" of IPv6'],
      failures: [],
      isDeferred: true,
    });
    expect(fake.table("iptables", "nat").get("KUBE-SERVICES")).toEqual(serving);
    expect(await client.apply(RULES, "remove")).toMatchObject({
      changed: ['wrote table "nat" of IPv4', `removed rules of kube-proxy's iptables mode from table "nat" of IPv4`],
      failures: [],
    });
    expect(fake.table("iptables", "nat").get("KUBE-SERVICES")).toEqual(NAT.chains[0]?.rules);
  });

  test("leftovers of the iptables mode are a difference", async () => {
    const { fake, client } = await setup();
    await client.apply(RULES);
    fake.table("ip6tables", "nat").set("KUBE-NODEPORTS", []);
    expect((await client.differences(RULES)).changed).toEqual([
      `kube-proxy's iptables mode has left rules in table "nat" of IPv6`,
    ]);
  });
});
