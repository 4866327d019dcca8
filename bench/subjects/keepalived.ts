import type { Expectation } from "../observer/observer.ts";

/** The configuration of keepalived with these virtual servers and all of their endpoints as real servers, without checks. */
export function keepalivedConfiguration(servers: Iterable<Expectation>): string {
  const texts = ["global_defs {\n  router_id bench\n}\n"];
  for (const { protocol, address, port, present } of servers) {
    const reals = present.map((endpoint) => {
      const colon = endpoint.lastIndexOf(":");
      return `  real_server ${endpoint.slice(0, colon)} ${endpoint.slice(colon + 1)} {\n    weight 1\n  }\n`;
    });
    texts.push(
      `virtual_server ${address} ${port} {\n  lb_algo rr\n  lb_kind NAT\n  protocol ${protocol}\n${reals.join("")}}\n`,
    );
  }
  return texts.join("");
}

/** The command line: only the process for IPVS, in the foreground, with files of its own. */
export function keepalivedCommand(folder: string): readonly string[] {
  const files = ["-f", `${folder}/keepalived.conf`, "-p", `${folder}/pid`, "-c", `${folder}/checkers.pid`];
  return ["keepalived", "--check", "--dont-fork", "--log-console", "--no-syslog", ...files];
}
