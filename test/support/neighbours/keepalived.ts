import { writeFile } from "node:fs/promises";
import { expect } from "vitest";
import { ended } from "../node/namespace.ts";
import type { TestNode } from "../node/netns.ts";
import type { Program } from "../node/program.ts";
import { eventually } from "../time/eventually.ts";
import { allAnswered } from "../traffic/answers.ts";
import type { Neighbour } from "./neighbour.ts";
import { BALANCED, NODE_PORT } from "./shared-node.ts";

/** The addresses by VRRP, on which keepalived has a virtual server of its own. */
const VIRTUAL = { ip: "192.168.1.100", ip6: "fd00:192:1::100" };
const PORT = 6_443;

/**
 * keepalived itself, from its Debian package: VRRP addresses on eth0, among them the load balancer addresses of the Service
 * "shop/web", and IPVS virtual servers with pod c behind them.
 */
export class Keepalived implements Neighbour {
  #program: Program | undefined;

  /** Resolves when it is the master of its addresses, and its virtual servers are programmed. */
  async layOut(node: TestNode): Promise<void> {
    const file = fileOf(node, "conf");
    await writeFile(file, configuration(node));
    const files = ["-p", "pid", "-r", "vrrp", "-c", "checkers"];
    const paths = files.map((word) => (word.startsWith("-") ? word : fileOf(node, word)));
    this.#program = node.node.namespace.start(["keepalived", "--dont-fork", "-f", file, ...paths]);
    await this.#isReady(node);
  }

  async reload(node: TestNode): Promise<void> {
    await writeFile(fileOf(node, "conf"), configuration(node, "-reloaded"));
    this.#program?.kill("SIGHUP");
    await this.#isReady(node);
  }

  /** Ends it: it removes its addresses and its virtual servers. */
  async remove(node: TestNode): Promise<void> {
    if (this.#program !== undefined) await ended(this.#program, "SIGTERM");
    const left = await node.prints("ip -o address show dev eth0; ipvsadm -Sn");
    for (const address of [...Object.values(VIRTUAL), ...Object.values(BALANCED)])
      expect(left).not.toContain(` ${address}/`);
  }

  /** Its virtual servers are served by its own real server, and its addresses have the NodePorts of the node. */
  async expectEffect(node: TestNode): Promise<void> {
    const outside = node.client(node.outside);
    for (const address of Object.values(VIRTUAL)) {
      expect(await outside.tcp(address, PORT), address).toEqual(allAnswered({ c: 1 }));
      expect(await node.client(node.pod("b")).tcp(address, PORT), address).toEqual(allAnswered({ c: 1 }));
      await eventually(async () =>
        expect(await outside.tcp(address, NODE_PORT), address).toEqual(allAnswered({ a: 1 })),
      );
    }
  }

  #isReady(node: TestNode): Promise<void> {
    return eventually(
      async () => {
        const state = await node.prints("ip -o address show dev eth0; ipvsadm -Sn");
        for (const { ip, ip6 } of [VIRTUAL, BALANCED]) expect(state).toMatch(new RegExp(` ${ip}/[^]* ${ip6}/`));
        expect(state).toContain(`-a -t ${VIRTUAL.ip}:${PORT} -r ${node.pod("c").ip}:8080 `);
        expect(state).toContain(`-a -t [${VIRTUAL.ip6}]:${PORT} -r [${node.pod("c").ip6}]:8080 `);
      },
      { withinMs: 20_000, everyMs: 200 },
    );
  }
}

function fileOf({ name }: TestNode, kind: string): string {
  return `/run/keepalived-${name}.${kind}`;
}

/** With another router name a reload has something to do. */
function configuration(node: TestNode, suffix = ""): string {
  const instance = (name: string, id: number, addresses: readonly string[]) => `
vrrp_instance ${name} {
  state MASTER
  interface eth0
  virtual_router_id ${id}
  priority 100
  version 3
  advert_int 0.1
  virtual_ipaddress {
${addresses.map((address) => `    ${address} dev eth0`).join("\n")}
  }
}
`;
  const server = (address: string, real: string) => `
virtual_server ${address} ${PORT} {
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server ${real} 8080 {
    weight 1
  }
}
`;
  const pod = node.pod("c");
  return [
    `global_defs {\n  router_id ${node.name}${suffix}\n  vrrp_garp_master_delay 0\n}\n`,
    instance("IPv4", 51, [`${VIRTUAL.ip}/24`, `${BALANCED.ip}/32`]),
    instance("IPv6", 52, [`${VIRTUAL.ip6}/64`, `${BALANCED.ip6}/128`]),
    server(VIRTUAL.ip, pod.ip),
    server(VIRTUAL.ip6, pod.ip6),
  ].join("");
}
