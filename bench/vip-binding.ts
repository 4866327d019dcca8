/**
 * What it costs the kernel to bind and release VIPs as addresses and by routes, for docs/scale.md:
 *
 *     bash test/support/run.sh kernel node bench/vip-binding.ts [SIZES]
 *
 * Binds and releases 1,000, 10,000 and 50,000 VIPs (or SIZES) of each family in each way, in the network namespace of this
 * process, and prints a row for each: the time to bind, to read all and to release, in ms, and the longest time for which the
 * event loop stood still. What takes more than LONGEST_MS is stopped, and the row says after how many. Besides, prints how long
 * a read takes on a host with 100,000 routes of other programs.
 */
import { execFileSync } from "node:child_process";
import { setImmediate as nextTurn } from "node:timers/promises";
import { NetlinkKernel } from "../src/kernel/netlink-kernel.ts";
import { FAMILIES, type IPAddress, type IPFamily, parseAddress } from "../src/model/address.ts";
import type { BindingOperation } from "../src/model/kernel/operation.ts";
import { VIP_BINDINGS, type VipBinding } from "../src/model/vip-binding.ts";

/** Operations in one call, as in a batch of the agent. */
const PART = 2_000;
const LONGEST_MS = 120_000;
const PREFIX: Readonly<Record<IPFamily, (index: number) => string>> = {
  IPv4: (index) => `10.${96 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
  IPv6: (index) => `fd00:96::${(index + 1).toString(16)}`,
};

const kernel = new NetlinkKernel({ chains: {} });

function vips(family: IPFamily, count: number): readonly IPAddress[] {
  return Array.from({ length: count }, (_, index) => {
    const address = parseAddress(PREFIX[family](index));
    if (address === undefined) throw new Error(`No address ${index} of ${family}`);
    return address;
  });
}

interface Cost {
  readonly ms: number;
  /** The longest part. */
  readonly pauseMs: number;
  readonly done: number;
}

async function applied(kind: BindingOperation["kind"], binding: VipBinding, all: readonly IPAddress[]): Promise<Cost> {
  const begun = performance.now();
  let pauseMs = 0;
  let done = 0;
  for (; done < all.length && performance.now() - begun < LONGEST_MS; done += PART) {
    const operations = all.slice(done, done + PART).map((address) => ({ kind, binding, address }));
    const from = performance.now();
    const failed = (await kernel.apply(operations)).find(({ ok }) => !ok);
    if (failed !== undefined) throw new Error(`${kind} ${binding}: ${JSON.stringify(failed)}`);
    pauseMs = Math.max(pauseMs, performance.now() - from);
    await nextTurn();
  }
  return { ms: performance.now() - begun, pauseMs, done: Math.min(done, all.length) };
}

async function measured(family: IPFamily, binding: VipBinding, count: number): Promise<string> {
  await kernel.prepare({ families: [family], rules: {}, sysctls: [] });
  const all = vips(family, count);
  const bind = await applied("bind-address", binding, all);
  const from = performance.now();
  const { addresses } = await kernel.observe("all");
  const readMs = performance.now() - from;
  if (addresses.size !== bind.done) throw new Error(`${addresses.size} VIPs are bound, and not ${bind.done}`);
  const release = await applied("unbind-address", binding, all.slice(0, bind.done));
  await kernel.remove([family]);
  const pauses = [ms(bind.pauseMs), ms(release.pauseMs)];
  return [family, binding, count, taken(bind, count), ms(readMs), taken(release, bind.done), ...pauses].join(" | ");
}

function taken({ ms: all, done }: Cost, count: number): string {
  return done === count ? ms(all) : `${ms(all)} for ${done}`;
}

/** Reads the VIPs of a host that has many routes of other programs, which the kernel sends too. */
async function readBesideOthers(count: number): Promise<string> {
  const lines = Array.from(
    { length: count },
    (_, index) => `route add blackhole 11.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
  );
  execFileSync("ip", ["-batch", "-"], { input: `${lines.join("\n")}\n` });
  const from = performance.now();
  await kernel.observe("all");
  return `a read beside ${count} routes of other programs: ${ms(performance.now() - from)} ms`;
}

function ms(value: number): string {
  return value.toFixed(0);
}

const sizes = process.argv.slice(2).map(Number);
console.log("family | binding | VIPs | bind ms | read ms | release ms | longest call of 2,000: bind ms | release ms");
for (const count of sizes.length === 0 ? [1_000, 10_000, 50_000] : sizes)
  for (const family of FAMILIES)
    for (const binding of VIP_BINDINGS) console.log(await measured(family, binding, count));
console.log(await readBesideOthers(100_000));
await kernel.close();
