import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { IptablesClient } from "../../../../../src/kernel/iptables/client.ts";
import type { RunProcess } from "../../../../../src/kernel/run-process.ts";
import { FakeIptables, NOTHING, RULES } from "../fake-iptables.ts";

/** A client that has found its programs and written the rules; what it reads from then on waits for `release`. */
async function written() {
  const fake = new FakeIptables();
  fake.print = (rule) => rule.replace("-j ACCEPT", "-j accept");
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  const run: RunProcess = async (file, args, input) => {
    if (isHeld) await held.promise;
    return fake.run(file, args, input);
  };
  const client = new IptablesClient({ run, hasLegacyTables: fake.hasLegacyTables });
  await client.find(["IPv4", "IPv6"]);
  const report = await client.apply(RULES);
  isHeld = true;
  return { fake, client, report, release: held.resolve };
}

test("rules are reported before they are read again, and the next call waits for that", async () => {
  const { client, report, release } = await written();
  expect(report.changed).toHaveLength(3);
  let isDone = false;
  const next = client.apply(RULES).then((result) => {
    isDone = true;
    return result;
  });
  for (let turn = 0; turn < 5; turn++) await setImmediate();
  expect(isDone).toBe(false);
  release();
  // It knows now how the program prints the rules.
  expect(await next).toMatchObject(NOTHING);
});

test("a failure to read the rules again is reported once, by the next apply", async () => {
  const { fake, client, report, release } = await written();
  expect(report.failures).toEqual([]);
  fake.failing.set("iptables-save", "out of memory");
  release();
  await client.differences({ IPv6: RULES.IPv6 });
  fake.failing.clear();
  const messages = async () => (await client.apply(RULES)).failures.map(({ message }) => message);
  expect(await messages()).toEqual(["Cannot read iptables rules of IPv4: out of memory"]);
  expect(await messages()).toEqual([]);
});
