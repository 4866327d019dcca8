import { beforeEach, describe, expect, test } from "vitest";
import type { Kernel } from "../../src/kernel/kernel.ts";
import { FAMILIES } from "../../src/model/address.ts";
import type { Errno } from "../../src/model/kernel/errno.ts";
import type { Operation } from "../../src/model/kernel/operation.ts";
import { RealServers } from "../../src/model/kernel/real-servers.ts";
import { HOSTS, marked, OK, onReal, onServer, real, refusal, server } from "./contract-objects.ts";

/** The contract of virtual servers by firewall mark. */
export function markedServerContract(kernelOf: () => Kernel): void {
  let kernel: Kernel;

  beforeEach(() => {
    kernel = kernelOf();
  });

  describe.each(FAMILIES)("%s", (family) => {
    const { vip, pods } = HOSTS[family];
    const vs = server(vip);
    const [first, second] = [real(pods[0]), real(pods[1], 0)];

    describe("a virtual server by firewall mark", () => {
      const byMark = marked(family, 7);
      const largest = marked(family, 0xffff_ffff);
      const ofOtherFamily = marked(family === "IPv4" ? "IPv6" : "IPv4", 7);

      test("is read as it was added, with all others or by name, beside one by address and one of the other family", async () => {
        const servers = [byMark, largest, ofOtherFamily, vs];
        expect(await kernel.apply(servers.map((each) => onServer("add", each)))).toEqual(servers.map(() => OK));
        await kernel.apply([onReal("add", byMark, first), onReal("add", vs, second)]);
        const { servers: all, unnamedServers } = await kernel.observe("all");
        expect(all).toEqual(
          new Map([
            [byMark.key, { server: byMark, reals: RealServers.of([first]) }],
            [largest.key, { server: largest, reals: RealServers.NONE }],
            [ofOtherFamily.key, { server: ofOtherFamily, reals: RealServers.NONE }],
            [vs.key, { server: vs, reals: RealServers.of([second]) }],
          ]),
        );
        expect(unnamedServers).toBe(0);
        const named = await kernel.observe(new Set([byMark.key, marked(family, 8).key]));
        expect([...named.servers.keys()]).toEqual([byMark.key]);
        expect(await kernel.connections(new Set([byMark.key]))).toEqual(
          new Map([[byMark.key, new Map([[first.key, { active: 0, inactive: 0 }]])]]),
        );
      });

      test("does not keep the protocol for which it was added", async () => {
        await kernel.apply([onServer("add", marked(family, 7, "rr", "UDP"))]);
        expect((await kernel.observe("all")).servers.get(byMark.key)?.server).toEqual(byMark);
      });

      test("is updated, and it and its real servers are deleted", async () => {
        const other = real(pods[0], 3);
        const operations = [
          onServer("add", byMark),
          onServer("update", marked(family, 7, "sh")),
          onReal("add", byMark, first),
          onReal("update", byMark, other),
        ];
        expect(await kernel.apply(operations)).toEqual(operations.map(() => OK));
        const state = (await kernel.observe("all")).servers.get(byMark.key);
        expect([state?.server.scheduler, ...(state?.reals ?? [])]).toEqual(["sh", other]);
        const removal = [onReal("delete", byMark, other), onServer("delete", byMark)];
        expect(await kernel.apply(removal)).toEqual(removal.map(() => OK));
        expect((await kernel.observe("all")).servers.size).toBe(0);
      });

      test.each<[string, readonly Operation[], Errno]>([
        ["twice", [onServer("add", byMark), onServer("add", byMark)], "EEXIST"],
        ["an update of a missing one", [onServer("add", ofOtherFamily), onServer("update", byMark)], "ESRCH"],
        ["deleting a missing one", [onServer("add", ofOtherFamily), onServer("delete", byMark)], "ESRCH"],
        ["a real server of a missing one", [onServer("add", ofOtherFamily), onReal("add", byMark, first)], "ESRCH"],
        [
          "a real server of the other family",
          [onServer("add", ofOtherFamily), onReal("add", ofOtherFamily, first)],
          "EINVAL",
        ],
      ])("%s is refused", async (_, operations, errno) => {
        const outcomes = await kernel.apply(operations);
        expect(outcomes).toEqual([...operations.slice(1).map(() => OK), refusal(errno)]);
      });
    });
  });
}
