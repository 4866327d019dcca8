import { describe, expect, test } from "vitest";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { FAMILIES, type IPFamily } from "../../src/model/address.ts";
import type { Operation } from "../../src/model/kernel/operation.ts";
import type { VipBinding } from "../../src/model/vip-binding.ts";
import { address } from "../support/objects/desired.ts";
import { OK, refusal, SETUP } from "./contract-objects.ts";

/** The VIPs of the tests. */
const VIPS: Readonly<Record<IPFamily, readonly [string, string, string]>> = {
  IPv4: ["10.96.0.10", "10.96.0.11", "10.96.0.12"],
  IPv6: ["fd00::10", "fd00::11", "fd00::12"],
};

const change = (kind: "bind" | "unbind", binding: VipBinding, ip: string): Operation => ({
  kind: `${kind}-address`,
  binding,
  address: address(ip),
});

/** How every kernel binds VIPs, as addresses and by routes. `opened` returns a prepared node without VIPs. */
export function bindingContract(opened: () => Kernel): void {
  const bound = async () => Object.fromEntries((await opened().observe("all")).addresses);

  describe.each(FAMILIES)("bindings of VIPs of %s", (family) => {
    const [first, second, third] = VIPS[family];

    test("a route is added once and deleted once", async () => {
      const kernel = opened();
      const [bind, unbind] = [change("bind", "route", first), change("unbind", "route", first)];
      expect(await kernel.apply([unbind, bind, bind])).toEqual([refusal("ESRCH"), OK, refusal("EEXIST")]);
      expect(await bound()).toEqual({ [first]: "route" });
      expect(await kernel.apply([unbind, unbind])).toEqual([OK, refusal("ESRCH")]);
      expect(await bound()).toEqual({});
    });

    test("each binding of a VIP is added and removed without the other, in either order", async () => {
      const kernel = opened();
      const both = [first, second].flatMap((ip, index) => [
        change("bind", index === 0 ? "address" : "route", ip),
        change("bind", index === 0 ? "route" : "address", ip),
      ]);
      expect(await kernel.apply([...both, change("bind", "address", third)])).toEqual([OK, OK, OK, OK, OK]);
      expect(await bound()).toEqual({ [first]: "both", [second]: "both", [third]: "address" });
      expect(await kernel.apply([change("unbind", "address", first), change("unbind", "route", second)])).toEqual([
        OK,
        OK,
      ]);
      expect(await bound()).toEqual({ [first]: "route", [second]: "address", [third]: "address" });
      expect(await kernel.apply([change("unbind", "address", first), change("unbind", "route", second)])).toEqual([
        refusal("EADDRNOTAVAIL"),
        refusal("ESRCH"),
      ]);
    });

    test("a VIP that is bound by a route is no address of the node", async () => {
      const kernel = opened();
      const before = await kernel.nodeAddresses();
      await kernel.apply([change("bind", "route", first)]);
      expect(await kernel.nodeAddresses()).toEqual(before);
    });

    test("routes need no kube-ipvs0, and are removed with everything else", async () => {
      const kernel = opened();
      await kernel.apply([change("bind", "route", first), change("bind", "address", second)]);
      await kernel.remove(FAMILIES);
      expect(await bound()).toEqual({});
      expect(await kernel.apply([change("bind", "route", third)])).toEqual([OK]);
      expect(await bound()).toEqual({ [third]: "route" });
      await kernel.prepare(SETUP);
      expect(await bound()).toEqual({ [third]: "route" });
    });
  });

  test("many routes of both families are read whole, and keep their order and their outcomes", async () => {
    const kernel = opened();
    const ips = Array.from({ length: 1_500 }, (_, n) => [
      `10.97.${n >> 8}.${n & 255}`,
      `fd00:97::${(n + 1).toString(16)}`,
    ]);
    const all = ips.flat();
    const operations = all.flatMap((ip) => [change("bind", "route", ip), change("bind", "route", ip)]);
    expect(await kernel.apply(operations)).toEqual(all.flatMap(() => [OK, refusal("EEXIST")]));
    expect(new Set(Object.keys(await bound()))).toEqual(new Set(all));
    const removal = all.map((ip) => change("unbind", "route", ip));
    expect(await kernel.apply(removal)).toEqual(removal.map(() => OK));
    expect(await bound()).toEqual({});
  });
}
