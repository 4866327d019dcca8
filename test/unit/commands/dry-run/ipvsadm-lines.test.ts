import { describe, expect, test } from "vitest";
import { createLine, realLine, serverLine, stateLines } from "../../../../src/commands/dry-run/plan-lines.ts";
import { ipset } from "../../../../src/model/kernel/ipset.ts";
import { markedServer, type RealServer, type VirtualServer, virtualServer } from "../../../../src/model/kernel/ipvs.ts";
import { RealServers } from "../../../../src/model/kernel/real-servers.ts";
import { address, facts, realServer } from "../../../support/objects/desired.ts";

describe("lines of ipvsadm", () => {
  const vip = address("10.96.0.1");
  const rr = virtualServer("TCP", vip, 80, { scheduler: facts().scheduler });
  const servers: readonly (readonly [Partial<VirtualServer>, string])[] = [
    [{}, "-A -t 10.96.0.1:80 -s rr"],
    [{ protocol: "SCTP" }, "-A --sctp-service 10.96.0.1:80 -s rr"],
    [{ persistenceSeconds: 10 }, "-A -t 10.96.0.1:80 -s rr -p 10"],
    [{ persistenceSeconds: 10, persistencePrefix: 22 }, "-A -t 10.96.0.1:80 -s rr -p 10 -M 255.255.252.0"],
    [
      { persistenceSeconds: 10, address: address("fd00::1"), persistencePrefix: 64 },
      "-A -t [fd00::1]:80 -s rr -p 10 -M 64",
    ],
    [{ persistencePrefix: 24 }, "-A -t 10.96.0.1:80 -s rr"],
    [{ flags: ["mh-fallback", "mh-port"] }, "-A -t 10.96.0.1:80 -s rr -b mh-fallback,mh-port"],
    [{ protocol: "UDP", flags: ["flag-1", "one-packet"] }, "-A -u 10.96.0.1:80 -s rr -o -b flag-1"],
  ];
  test.each(servers)("%j: %s", (said, expected) => {
    expect(serverLine({ ...rr, ...said })).toBe(expected);
  });

  test.each([
    ["IPv4", "-A -f 7 -s rr", "-a -f 7 -r 10.244.1.5:8080 -m -w 1"],
    ["IPv6", "-A -f 7 -6 -s rr", "-a -f 7 -6 -r 10.244.1.5:8080 -m -w 1"],
  ] as const)("by firewall mark, of %s: %s", (family, server, real) => {
    const marked = markedServer(family, 7, "UDP", { scheduler: facts().scheduler });
    expect(serverLine(marked)).toBe(server);
    expect(realLine(marked, realServer(address("10.244.1.5"), 8080))).toBe(real);
  });

  const reals: readonly (readonly [Partial<RealServer>, string])[] = [
    [{}, "-a -t 10.96.0.1:80 -r 10.244.1.5:8080 -m -w 1"],
    [{ weight: 0, forwarding: "direct" }, "-a -t 10.96.0.1:80 -r 10.244.1.5:8080 -g -w 0"],
    [{ forwarding: "tunnel" }, "-a -t 10.96.0.1:80 -r 10.244.1.5:8080 -i -w 1"],
  ];
  test.each(reals)("%j: %s", (said, expected) => {
    expect(realLine(rr, { ...realServer(address("10.244.1.5"), 8080), ...said })).toBe(expected);
  });

  test("a virtual server comes before its real servers, and those in order", () => {
    const [nine, eighty] = [9, 80].map((port) => realServer(address("10.244.1.5"), port));
    const reals = RealServers.of([nine, eighty].filter((real) => real !== undefined));
    expect(stateLines({ server: rr, reals })).toEqual([
      "-A -t 10.96.0.1:80 -s rr",
      "-a -t 10.96.0.1:80 -r 10.244.1.5:80 -m -w 1",
      "-a -t 10.96.0.1:80 -r 10.244.1.5:9 -m -w 1",
    ]);
  });

  const sizes = [
    [0, 65_536],
    [65_536, 65_536],
    [65_537, 131_072],
    [200_000, 262_144],
  ] as const;
  test.each(sizes)("a set of %i members is made for %i", (members, maxelem) => {
    expect(createLine(ipset("KUBE-IPVS-IPS", "IPv6"), members)).toBe(
      `create KUBE-6-IPVS-IPS hash:ip family inet6 hashsize 1024 maxelem ${maxelem}`,
    );
  });
});
