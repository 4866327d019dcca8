import type { Observed } from "./kernel.ts";

/** An empty part. */
export const NOTHING: Observed = { servers: new Map(), unnamedServers: 0, addresses: new Map(), entries: new Map() };

/** Merges all parts of a read into one. */
export async function mergeObserved(parts: AsyncIterable<Observed>): Promise<Observed> {
  const all = { servers: new Map(), unnamedServers: 0, addresses: new Map(), entries: new Map() } satisfies Observed;
  for await (const part of parts) {
    for (const [key, state] of part.servers) all.servers.set(key, state);
    for (const [address, bindings] of part.addresses) all.addresses.set(address, bindings);
    for (const [key, entry] of part.entries) all.entries.set(key, entry);
    all.unnamedServers += part.unnamedServers;
  }
  return all;
}
