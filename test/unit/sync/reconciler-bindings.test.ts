import { describe, expect, test } from "vitest";
import { DesiredState } from "../../../src/desired/desired-state.ts";
import { FAMILIES } from "../../../src/model/address.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import type { VipBinding } from "../../../src/model/vip-binding.ts";
import { MemoryKernel } from "../../support/memory-kernel/memory-kernel.ts";
import { address, network } from "../../support/objects/desired.ts";
import { desiredOf } from "../../support/objects/desired-shop.ts";
import { steppedSync } from "../../support/worlds/sync-world.ts";

const SHOP = desiredOf({
  web: [{ ip: "10.96.0.1" }, { "shop/web-1": { endpoints: [{ ip: "10.244.1.1", node: "n1" }] } }],
  dns: [
    { ip: "fd00:96::1", ports: [{ port: 53, protocol: "UDP" }] },
    { "shop/dns-1": { ports: [{ port: 53, protocol: "UDP" }], endpoints: [{ ip: "fd00:244::1", node: "n1" }] } },
  ],
});
const VIPS = ["10.96.0.1", "fd00:96::1"];
const NOW = () => 1_000_000;

/** A kernel that lists the operations of bindings that it gets. */
class ListingKernel extends MemoryKernel {
  readonly listed: string[] = [];

  override async apply(operations: readonly Operation[]) {
    for (const operation of operations)
      if ("binding" in operation) this.listed.push(`${operation.kind} ${operation.binding} ${operation.address}`);
    return super.apply(operations);
  }
}

async function prepared(): Promise<ListingKernel> {
  const kernel = new ListingKernel();
  await kernel.prepare({ families: FAMILIES, rules: {}, sysctls: [] });
  return kernel;
}

/** A new process on this kernel that has programmed everything. */
async function started(kernel: MemoryKernel, vipBinding: VipBinding, desired = SHOP, excludeCIDRs = [] as string[]) {
  const options = { vipBinding, excludeCIDRs: excludeCIDRs.map(network) };
  const { loop } = steppedSync(kernel, desired, NOW, options);
  await loop.resync();
  loop.open();
  await loop.sync();
  return loop;
}

const bound = (kernel: MemoryKernel) => ({ addresses: kernel.addresses(), routes: kernel.routes() });
const ROUTES = { addresses: [], routes: VIPS };
const ADDRESSES = { addresses: VIPS, routes: [] };

describe("VIPs bound by routes", () => {
  test("are no addresses of kube-ipvs0, and a restart writes nothing", async () => {
    const kernel = await prepared();
    await started(kernel, "route");
    expect(bound(kernel)).toEqual(ROUTES);
    kernel.listed.splice(0);
    await started(kernel, "route");
    expect(kernel.listed).toEqual([]);
  });

  test("come back after another program deleted them, and count as drift", async () => {
    const kernel = await prepared();
    const loop = await started(kernel, "route");
    kernel.meddle({ kind: "unbind-address", binding: "route", address: address("10.96.0.1") });
    kernel.meddle({ kind: "bind-address", binding: "route", address: address("10.96.0.9") });
    expect((await loop.resync()).drift).toEqual([
      { object: "address", kind: "unwanted", count: 1 },
      { object: "address", kind: "missing", count: 1 },
    ]);
    await loop.sync();
    expect(bound(kernel)).toEqual(ROUTES);
  });

  test("are removed with their Service", async () => {
    const kernel = await prepared();
    await started(kernel, "route");
    await started(kernel, "route", new DesiredState());
    expect([bound(kernel), kernel.ipvsadm(), kernel.members()]).toEqual([{ addresses: [], routes: [] }, "", []]);
  });
});

describe.each<[VipBinding, VipBinding]>([
  ["address", "route"],
  ["route", "address"],
])("after a restart that changes the binding from %s to %s", (before, after) => {
  const result = after === "route" ? ROUTES : ADDRESSES;

  test("each VIP is bound in the new way, and only then no longer in the old one", async () => {
    const kernel = await prepared();
    await started(kernel, before);
    kernel.listed.splice(0);
    await started(kernel, after);
    expect(bound(kernel)).toEqual(result);
    expect(kernel.listed.toSorted()).toEqual(
      VIPS.flatMap((ip) => [`bind-address ${after} ${ip}`, `unbind-address ${before} ${ip}`]).toSorted(),
    );
    for (const ip of VIPS)
      expect(kernel.listed.indexOf(`bind-address ${after} ${ip}`)).toBeLessThan(
        kernel.listed.indexOf(`unbind-address ${before} ${ip}`),
      );
  });

  test("a VIP that cannot be bound in the new way keeps the old one", async () => {
    const kernel = await prepared();
    await started(kernel, before);
    kernel.failOperations(({ kind }) => kind === "bind-address", "ENOBUFS");
    await started(kernel, after);
    expect(bound(kernel)).toEqual(before === "route" ? ROUTES : ADDRESSES);
    kernel.heal();
    await started(kernel, after);
    expect(bound(kernel)).toEqual(result);
  });

  test("an old binding that cannot be removed is removed by the next process", async () => {
    const kernel = await prepared();
    await started(kernel, before);
    kernel.failOperations(({ kind }) => kind === "unbind-address", "ENOBUFS");
    await started(kernel, after);
    expect(bound(kernel)).toEqual({ addresses: VIPS, routes: VIPS });
    kernel.heal();
    await started(kernel, after);
    expect(bound(kernel)).toEqual(result);
  });

  test("a VIP that no Service needs any more loses its binding of either kind", async () => {
    const kernel = await prepared();
    await started(kernel, before);
    kernel.meddle({ kind: "bind-address", binding: after, address: address("10.96.0.1") });
    await started(kernel, after, new DesiredState());
    expect([bound(kernel), kernel.ipvsadm(), kernel.members()]).toEqual([{ addresses: [], routes: [] }, "", []]);
  });

  test("a VIP in an excluded network keeps its old binding, which may be of another program", async () => {
    const kernel = await prepared();
    await started(kernel, before);
    await started(kernel, after, SHOP, ["10.96.0.0/16"]);
    const [four = "", six = ""] = VIPS;
    expect(bound(kernel)).toEqual({
      addresses: [four, ...(after === "address" ? [six] : [])],
      routes: [four, ...(after === "route" ? [six] : [])],
    });
  });

  test("another binding that appears beside the right one is drift, and is removed", async () => {
    const kernel = await prepared();
    const loop = await started(kernel, after);
    kernel.meddle({ kind: "bind-address", binding: before, address: address("10.96.0.1") });
    expect((await loop.resync()).drift).toEqual([{ object: "address", kind: "different", count: 1 }]);
    await loop.sync();
    expect(bound(kernel)).toEqual(result);
  });
});
