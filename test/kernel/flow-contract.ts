import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { FAMILIES, type IPFamily } from "../../src/model/address.ts";
import type { Protocol } from "../../src/model/cluster/service.ts";
import {
  type RealServerKey,
  realServerKey,
  type VirtualServerKey,
  virtualServerKey,
} from "../../src/model/kernel/ipvs.ts";
import type { Operation } from "../../src/model/kernel/operation.ts";
import { RealServers } from "../../src/model/kernel/real-servers.ts";
import { address } from "../support/objects/desired.ts";

/** A connection: its destination, and the endpoint that answers. */
export interface ToldFlow {
  readonly to: VirtualServerKey;
  readonly from: RealServerKey;
  /** Whether a reply was seen; false if absent. */
  readonly isReplied?: boolean;
}

/** Conntrack beside the tested kernel. */
export interface FlowTable {
  add(flows: readonly ToldFlow[]): Promise<void>;
  list(): Promise<readonly ToldFlow[]>;
}

const HOSTS: Readonly<
  Record<IPFamily, { readonly vip: string; readonly other: string; readonly pods: readonly string[] }>
> = {
  IPv4: { vip: "10.96.0.10", other: "10.96.0.11", pods: ["10.244.0.5", "10.244.0.6"] },
  IPv6: { vip: "fd00::10", other: "fd00::11", pods: ["fd00:244::5", "fd00:244::6"] },
};

const to = (ip: string, protocol: Protocol, port = 53) => virtualServerKey(protocol, address(ip), port);
const from = (ip: string, port = 5353) => realServerKey(address(ip), port);
const forget = (server: VirtualServerKey, ...keep: readonly string[]): Operation => ({
  kind: "forget-flows",
  to: server,
  keep: RealServers.of(keep.map((pod) => ({ address: address(pod), port: 5353 }))),
});
const OK = { ok: true };
const texts = (flows: readonly ToldFlow[]) => flows.map((flow) => `${flow.to} ${flow.from}`).sort();

/** The contract of every Kernel about flows. `open` returns one whose conntrack has none to the addresses of these tests. */
export function flowContract(open: () => Promise<{ readonly kernel: Kernel; readonly flows: FlowTable }>): void {
  let kernel: Kernel;
  let flows: FlowTable;

  beforeEach(async () => {
    ({ kernel, flows } = await open());
  });

  afterEach(async () => {
    await kernel.apply((await flows.list()).map((flow) => forget(flow.to)));
    await kernel.close();
  });

  describe.each(FAMILIES)("%s", (family) => {
    const { vip, other, pods } = HOSTS[family];
    const [first = "", second = ""] = pods;

    test.each<Protocol>(["UDP", "SCTP", "TCP"])(
      "%s flows are deleted unless a real server that stays answers them",
      async (protocol) => {
        const server = to(vip, protocol);
        const staying = [
          { to: server, from: from(first) },
          // Foreign flows to the same address, the same port, or the same pod.
          { to: to(vip, protocol, 54), from: from(second) },
          { to: to(other, protocol), from: from(other, 53) },
          { to: to(vip, protocol === "UDP" ? "SCTP" : "UDP"), from: from(second) },
        ];
        const stale = [
          { to: server, from: from(second) },
          { to: server, from: from(first, 5354) },
          { to: server, from: from(vip, 53) },
        ];
        await flows.add([...staying, ...stale]);
        expect(texts(await flows.list())).toEqual(texts([...staying, ...stale]));
        expect(await kernel.apply([forget(server, first)])).toEqual([OK]);
        expect(texts(await flows.list())).toEqual(texts(staying));
      },
    );

    test("a TCP connection with a reply stays, whoever sent it, and a UDP flow with a reply does not", async () => {
      const [web, dns] = [to(vip, "TCP"), to(vip, "UDP")];
      const connection = { to: web, from: from(second), isReplied: true };
      await flows.add([connection, { to: dns, from: from(second), isReplied: true }, { to: web, from: from(vip, 53) }]);
      expect(await kernel.apply([forget(web, first), forget(dns, first)])).toEqual([OK, OK]);
      expect(texts(await flows.list())).toEqual(texts([connection]));
    });

    test("deleting flows that do not exist, or twice, is no failure", async () => {
      const server = to(vip, "UDP");
      expect(await kernel.apply([forget(server), forget(to(other, "SCTP"))])).toEqual([OK, OK]);
      await flows.add([{ to: server, from: from(first) }]);
      expect(await kernel.apply([forget(server)])).toEqual([OK]);
      expect(await kernel.apply([forget(server)])).toEqual([OK]);
      expect(await flows.list()).toEqual([]);
    });

    test("flows of many servers are deleted together, each by its own real servers", async () => {
      const servers = Array.from({ length: 30 }, (_, index) => to(vip, "UDP", 1000 + index));
      const kept = servers.map((server) => ({ to: server, from: from(first) }));
      const stale = servers.map((server) => ({ to: server, from: from(second) }));
      const unrelated = { to: to(other, "UDP"), from: from(second) };
      await flows.add([...kept, ...stale, unrelated]);
      expect(await kernel.apply(servers.map((server) => forget(server, first)))).toEqual(servers.map(() => OK));
      expect(texts(await flows.list())).toEqual(texts([...kept, unrelated]));
    });
  });
}
