import { PROTOCOLS } from "../../../src/model/cluster/service.ts";
import {
  type RealServerKey,
  realServerKey,
  type VirtualServerKey,
  virtualServerKey,
} from "../../../src/model/kernel/ipvs.ts";
import type { Shell } from "../node/shell.ts";
import { address } from "../objects/desired.ts";

/** A connection in conntrack: whom it is sent to, and who answers it. */
export interface SeenFlow {
  readonly to: VirtualServerKey;
  readonly from: RealServerKey;
  /** Port that the client sends from. */
  readonly clientPort: number;
}

const LINE =
  /^(\w+)\s.*?src=\S+ dst=(\S+) sport=(\d+) dport=(\d+) (?:packets=\d+ bytes=\d+ )?(?:\[\w+\] )?src=(\S+) dst=\S+ sport=(\d+)/;

/** What `conntrack` says that the kernel of the shell's namespace follows, of the protocols of Services. */
export async function seenFlows(shell: Shell): Promise<readonly SeenFlow[]> {
  const text = await shell.run("conntrack -L -f ipv4 2>/dev/null; conntrack -L -f ipv6 2>/dev/null");
  return text.split("\n").flatMap((line) => {
    const [, word = "", to = "", clientPort, port, from = "", fromPort] = LINE.exec(line) ?? [];
    const protocol = PROTOCOLS.find((name) => name.toLowerCase() === word);
    if (protocol === undefined) return [];
    return [
      {
        to: virtualServerKey(protocol, address(to), Number(port)),
        from: realServerKey(address(from), Number(fromPort)),
        clientPort: Number(clientPort),
      },
    ];
  });
}
