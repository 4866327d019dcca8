import type { Expectation } from "./observer.ts";

/** What a set of rules serves: texts "protocol address port" of Services, and "address:port" of endpoints. */
export interface ServedRules {
  readonly services: ReadonlySet<string>;
  readonly endpoints: ReadonlySet<string>;
}

/** Reads the output of `iptables-save -t nat`, as kube-proxy writes its rules. */
export function readIptables(text: string): ServedRules {
  const services = new Set<string>();
  for (const [, address, protocol, port] of text.matchAll(
    /^-A KUBE-SERVICES -d ([\d.]+)\/32 -p (\w+) .*--dport (\d+) -j KUBE-SVC-/gm,
  ))
    services.add(`${protocol} ${address} ${port}`);
  const endpoints = new Set<string>();
  for (const [, endpoint = ""] of text.matchAll(/ --to-destination ([\d.]+:\d+)$/gm)) endpoints.add(endpoint);
  return { services, endpoints };
}

/** Reads the output of `nft list table ip kube-proxy`. */
export function readNftables(text: string): ServedRules {
  const services = new Set<string>();
  for (const [, address, protocol, port] of text.matchAll(/([\d.]+) \. (tcp|udp|sctp) \. (\d+) : goto service-/g))
    services.add(`${protocol} ${address} ${port}`);
  const endpoints = new Set<string>();
  for (const [, endpoint = ""] of text.matchAll(/dnat (?:ip )?to ([\d.]+:\d+)/g)) endpoints.add(endpoint);
  return { services, endpoints };
}

/** Whether the rules meet an expectation. A pod is an endpoint of one Service only, so that its address suffices. */
export function meets(rules: ServedRules, expected: Expectation): boolean {
  const isServed = rules.services.has(`${expected.protocol.toLowerCase()} ${expected.address} ${expected.port}`);
  if (isServed !== expected.served) return false;
  return (
    expected.present.every((endpoint) => rules.endpoints.has(endpoint)) &&
    !expected.absent.some((endpoint) => rules.endpoints.has(endpoint))
  );
}
