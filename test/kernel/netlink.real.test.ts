import { afterAll, describe } from "vitest";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { parseVirtualServerKey } from "../../src/model/ipvs.ts";
import { seenFlows } from "../support/conntrack.ts";
import { Shell } from "../support/shell.ts";
import { kernelContract } from "./contract.ts";
import { flowContract, type ToldFlow } from "./flow-contract.ts";

// The contract knows no rules, and without chains to remove no iptables is started.
const openKernel = () => new NetlinkKernel({ chains: {} });

describe("NetlinkKernel", () => {
  kernelContract(openKernel);

  let shell: Shell | undefined;
  afterAll(() => shell?.[Symbol.asyncDispose]());

  flowContract(async () => {
    shell ??= new Shell();
    const within = shell;
    const flows = {
      add: async (added: readonly ToldFlow[]) => {
        await within.run(added.map(insertion).join("\n"));
      },
      list: async () => (await seenFlows(within)).filter(({ to }) => /(10\.96\.0|fd00:)/.test(to)),
    };
    return { kernel: openKernel(), flows };
  });
});

/** The command of conntrack that makes the flow, from a client port of its own. */
function insertion({ to, from }: ToldFlow, index: number): string {
  const { protocol, address, port } = parseVirtualServerKey(to);
  const answered = parseVirtualServerKey(`${protocol}/${from}` as typeof to); // the same spelling
  const client = address.includes(":") ? "fd00:9::9" : "10.9.9.9";
  const words = {
    TCP: "-p tcp --state ESTABLISHED",
    UDP: "-p udp",
    SCTP: "-p sctp --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
  };
  const ends = `-s ${client} -d ${address} --sport ${4000 + index} --dport ${port}`;
  const reply = `-r ${answered.address} -q ${client} --reply-port-src ${answered.port} --reply-port-dst ${4000 + index}`;
  return `conntrack -I ${words[protocol]} -t 300 ${ends} ${reply} 2>&1`;
}
