import { addressEntry, ipset } from "../../../src/model/kernel/ipset.ts";
import type { Scheduler } from "../../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../../src/model/kernel/operation.ts";
import type { MemoryKernel } from "../memory-kernel/memory-kernel.ts";
import { address, realServer } from "../objects/desired.ts";

export interface Meddling {
  /** 0 to 7: what is done. */
  readonly how: number;
  /** To which object, of those that are there. */
  readonly pick: number;
  /** Virtual servers that are not ours; nothing is done to them. */
  readonly foreign: Pick<ReadonlySet<string>, "has">;
}

/** What others may do to our objects. They do not take the members that name our virtual servers: those say whose it is. */
export function meddling(kernel: MemoryKernel, { how, pick, foreign }: Meddling): readonly Operation[] {
  const states = [...kernel.servers().values()].filter(({ server }) => !foreign.has(server.key));
  const state = nth(states, pick);
  const bound = [
    ...kernel.addresses().map((address) => ({ binding: "address" as const, address })),
    ...kernel.routes().map((address) => ({ binding: "route" as const, address })),
  ];
  const alien = addressEntry(ipset("KUBE-IPVS-IPS", "IPv4"), address("10.99.0.9"));
  if (how === 0)
    return [{ kind: "bind-address", binding: pick % 2 === 0 ? "address" : "route", address: address("10.99.0.9") }];
  if (how === 1) return [{ kind: "add-entry", entry: alien }];
  if (how === 2) {
    const one = nth(bound, pick);
    return one === undefined ? [] : [{ kind: "unbind-address", ...one }];
  }
  if (state === undefined) return [];
  const { server } = state;
  const real = nth([...state.reals.values()], pick);
  const six = server.address.includes(":");
  const stranger = realServer(address(six ? "fd02::99" : "10.244.9.9"), 8080, pick % 3);
  const changed = { ...server, scheduler: "wlc" as Scheduler, persistenceSeconds: 77 };
  if (how === 3) return [{ kind: "delete-virtual-server", server }];
  if (how === 4) return [{ kind: "add-real-server", server, real: stranger }];
  if (how === 5) return [{ kind: "update-virtual-server", server: changed }];
  if (real === undefined) return [];
  if (how === 6) return [{ kind: "update-real-server", server, real: { ...real, weight: pick % 4 } }];
  return [{ kind: "delete-real-server", server, real }];
}

/** One of the items by a number of any size. */
export function nth<Item>(items: readonly Item[], index: number): Item | undefined {
  return items[index % Math.max(1, items.length)];
}
