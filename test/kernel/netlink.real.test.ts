import { afterAll, describe, expect, test } from "vitest";
import { openRawSocketOf } from "../../src/kernel/netlink/raw-socket.ts";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { parseVirtualServerKey, type Scheduler, virtualServer } from "../../src/model/ipvs.ts";
import { seenFlows } from "../support/conntrack.ts";
import { address } from "../support/desired.ts";
import { Shell } from "../support/shell.ts";
import { kernelContract } from "./contract.ts";
import { flowContract, type ToldFlow } from "./flow-contract.ts";

// The contract knows no rules, and without chains to remove no iptables is started.
const openKernel = () => new NetlinkKernel({ chains: {} });

describe("NetlinkKernel", () => {
  kernelContract(openKernel);

  // As under a net.core.rmem_max of half so many bytes. An answer that finds no room ends this process.
  test.each([4_608, 20_000, 81_920, 163_840])(
    "600 virtual servers are read by name, refused and deleted with a receive buffer of %i bytes",
    async (bytes) => {
      const kernel = new NetlinkKernel({
        chains: {},
        open: (options, listener) => openRawSocketOf(bytes / 2, options, listener),
      });
      const servers = Array.from(
        { length: 600 },
        (_, index) =>
          virtualServer("TCP", address(`10.97.${index >> 8}.${index & 255}`), 80, { scheduler: "rr" as Scheduler }), // the kernel judges the word
      );
      const onAll = (kind: "add-virtual-server" | "delete-virtual-server") =>
        kernel.apply(servers.map((server) => ({ kind, server })));
      expect((await onAll("add-virtual-server")).every(({ ok }) => ok)).toBe(true);
      const keys = new Set(servers.map(({ key }) => key));
      expect(new Set((await kernel.observe(keys)).servers.keys())).toEqual(keys);
      expect(new Set((await kernel.observe("all")).servers.keys())).toEqual(keys);
      expect((await onAll("add-virtual-server")).filter(({ ok }) => !ok)).toHaveLength(600);
      expect((await onAll("delete-virtual-server")).every(({ ok }) => ok)).toBe(true);
      expect((await onAll("delete-virtual-server")).filter(({ ok }) => !ok)).toHaveLength(600);
      await kernel.close();
    },
  );

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
