import { IptablesClient } from "../../../src/kernel/iptables/client.ts";
import type { StepReport } from "../../../src/kernel/kernel.ts";
import { NetlinkKernel, type NetlinkKernelOptions } from "../../../src/kernel/netlink-kernel.ts";
import type { RuleTable } from "../../../src/model/kernel/rules.ts";
import type { Sysctl } from "../../../src/model/kernel/sysctl.ts";
import * as naive from "../../support/netlink/naive-netlink.ts";
import { accepting, NetlinkPeer } from "../../support/netlink/netlink-peer.ts";
import { FakeIPSetKernel } from "./ipset/fake-ipset-kernel.ts";
import { FakeIptables } from "./iptables/fake-iptables.ts";

const { attribute, i32, nested, text, u16, u32 } = naive;

const IPVS = 31;
const KUBE_IPVS0 = 7;
const ETH0 = 2;

/** A node whose kernel has no virtual servers, with the address 192.168.1.10 on eth0 and 10.96.0.1 on kube-ipvs0. */
export class FakeNode {
  readonly sets = new FakeIPSetKernel();
  readonly iptables = new FakeIptables();
  readonly sysctls = new FakeSysctls();
  /** Kind of the interface kube-ipvs0; undefined: it does not exist. */
  link: string | undefined = "dummy";
  readonly #peer = new NetlinkPeer((requests, protocol) =>
    requests.flatMap((it) => (protocol === 16 ? ipvs(it) : this.#route(it))),
  );

  /** A kernel of this node; `chains` are ours to remove. */
  kernel(
    chains: Readonly<Partial<Record<RuleTable["name"], readonly string[]>>> = {},
    options: Pick<NetlinkKernelOptions, "onForgotten"> = {},
  ): NetlinkKernel {
    return new NetlinkKernel({
      ...options,
      chains,
      open: (options, listener) => (options.protocol === 12 ? this.sets : this.#peer).open(options, listener),
      iptables: new IptablesClient(this.iptables),
      sysctls: this.sysctls,
    });
  }

  #route(it: naive.NaiveMessage): readonly naive.Bytes[] {
    switch (it.type) {
      case 18: // RTM_GETLINK
        if (this.link === undefined) return [naive.acknowledgement(it, 19)];
        return [naive.message(16, 0, it.sequence, linkOf(this.link)), ...accepting([it])];
      case 22: // RTM_GETADDR
        return [address(it, ETH0, "192.168.1.10"), address(it, KUBE_IPVS0, "10.96.0.1"), naive.done(it)];
      case 16: // RTM_NEWLINK
        this.link = "dummy";
        return accepting([it]);
      case 17: // RTM_DELLINK
        this.link = undefined;
        return accepting([it]);
      case 26: // RTM_GETROUTE
        return [naive.done(it)];
      case 20: // RTM_NEWADDR
      case 21: // RTM_DELADDR
        return accepting([it]);
      default:
        return [naive.acknowledgement(it, 95)];
    }
  }
}

/** Sysctls with their desired values, unless another value was set. */
class FakeSysctls {
  readonly wrong = new Map<string, string>();
  isWritable = true;

  async value(path: string): Promise<string | undefined> {
    return this.wrong.get(path);
  }

  async apply(wanted: readonly Sysctl[]): Promise<StepReport> {
    const wrong = wanted.filter(({ path }) => this.wrong.has(path));
    if (!this.isWritable) return { changed: [], warnings: wrong.map(({ path }) => `Cannot set ${path}: EROFS`) };
    for (const { path } of wrong) this.wrong.delete(path);
    return { changed: wrong.map(({ path, value }) => `set ${path} to ${value}`), warnings: [] };
  }

  async differences(wanted: readonly Sysctl[]): Promise<readonly string[]> {
    return wanted.flatMap(({ path, value }) => {
      const is = this.wrong.get(path);
      return is === undefined ? [] : [`${path} is ${is}, not ${value}`];
    });
  }
}

function ipvs(it: naive.NaiveMessage): readonly naive.Bytes[] {
  const isDump = (it.flags & 0x300) !== 0;
  if (isDump) return [naive.done(it)];
  if (it.type !== 16) return accepting([it]);
  return [naive.message(16, 0, it.sequence, [1, 2, 0, 0], attribute(1, u16(IPVS))), ...accepting([it])];
}

function linkOf(kind: string): naive.Bytes {
  const header = [0, 0, ...u16(0), ...i32(KUBE_IPVS0), ...u32(0), ...u32(0)];
  return [...header, ...attribute(3, text("kube-ipvs0")), ...nested(18, attribute(1, text(kind)))];
}

function address(it: naive.NaiveMessage, index: number, ip: string): naive.Bytes {
  const bytes = naive.ipv4(ip);
  return naive.message(20, 2, it.sequence, [2, 32, 0, 0], u32(index), attribute(1, bytes), attribute(2, bytes));
}
