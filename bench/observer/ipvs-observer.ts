import { readFile } from "node:fs/promises";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { type IPAddress, parseAddress } from "../../src/model/address.ts";
import { realServerKey, type VirtualServerKey, virtualServerKey } from "../../src/model/kernel/ipvs.ts";
import type { ServerState } from "../../src/model/kernel/server-state.ts";
import type { Expectation, ModeObserver } from "./observer.ts";

/** Virtual servers that are read by name in one poll: reading hundreds would take CPU from the proxy. */
const AT_A_TIME = 4;

/** Reads IPVS by netlink, one virtual server by name; counts are read from /proc/net/ip_vs. */
export class IpvsObserver implements ModeObserver {
  readonly mode = "ipvs";
  readonly pauseMs = 1;
  readonly countsOnce = false;
  readonly #kernel = new NetlinkKernel({ chains: {} });

  /** Reads the first few; those after the first that does not hold are not read, and count as not holding. */
  async holds(expectations: readonly Expectation[]): Promise<readonly boolean[]> {
    const results: boolean[] = [];
    for (let from = 0; from < expectations.length; from += AT_A_TIME) {
      const part = expectations.slice(from, from + AT_A_TIME);
      const { servers } = await this.#kernel.observe(new Set(part.map(keyOf)));
      results.push(...part.map((expected) => isMet(expected, servers.get(keyOf(expected)))));
      if (results.includes(false)) break;
    }
    return expectations.map((_, place) => results[place] ?? false);
  }

  async counts(): Promise<{ servers: number; endpoints: number }> {
    const text = await readFile("/proc/net/ip_vs", "latin1").catch(() => "");
    const count = (prefix: string) => text.split(prefix).length - 1;
    // The head has one line of each form.
    const servers = count("\nTCP ") + count("\nUDP ") + count("\nSCTP ");
    return { servers, endpoints: Math.max(0, count("\n  -> ") - 1) };
  }

  async close(): Promise<void> {
    await this.#kernel.close();
  }
}

function keyOf({ protocol, address, port }: Expectation): VirtualServerKey {
  return virtualServerKey(protocol, addressOf(address), port);
}

function addressOf(text: string): IPAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`"${text}" is no address`);
  return address;
}

function isMet({ served, present, absent }: Expectation, state: ServerState | undefined): boolean {
  if (state === undefined || !served) return (state !== undefined) === served;
  const serves = (text: string) => {
    const colon = text.lastIndexOf(":");
    const real = state.reals.get(realServerKey(addressOf(text.slice(0, colon)), Number(text.slice(colon + 1))));
    return real !== undefined && real.weight > 0;
  };
  return present.every(serves) && !absent.some(serves);
}
