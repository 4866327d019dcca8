import { expect, test } from "vitest";
import { batchRest, entryBatches } from "../../../../src/kernel/ipset/batches.ts";
import { ipset, portEntry } from "../../../../src/model/kernel/ipset.ts";

const TCP = ipset("KUBE-NODE-PORT-TCP", "IPv4");
const UDP = ipset("KUBE-NODE-PORT-UDP", "IPv4");
/** "+t80" adds port 80 to the TCP set, "-u53" deletes 53 from the UDP set. */
const operation = (text: string) => ({
  kind: text.startsWith("+") ? ("add-entry" as const) : ("delete-entry" as const),
  entry: portEntry(text[1] === "t" ? TCP : UDP, Number(text.slice(2))),
});
const shown = (texts: readonly string[]) =>
  entryBatches(texts.map(operation)).map((wave) =>
    wave.map(({ indexes }) => indexes.map((index) => texts[index]).join(" ")),
  );

test.each([
  ["nothing", [], []],
  ["entries of one set share a message though others stand between", ["+t1", "+u1", "+t2"], [["+t1 +t2", "+u1"]]],
  ["different sets share a wave whatever is done to them", ["+t1", "-u1"], [["+t1", "-u1"]]],
  ["a set waits where its kind changes", ["+t1", "-t1", "+u1", "+t2"], [["+t1", "+u1"], ["-t1"], ["+t2"]]],
  [
    "a set that changes late waits for none but itself",
    ["+t1", "-t1", "+u1", "-u1"],
    [
      ["+t1", "+u1"],
      ["-t1", "-u1"],
    ],
  ],
] as const)("batches of operations on sets: %s", (_, operations, waves) => {
  expect(shown(operations)).toEqual(waves);
});

test("a message has at most 500 entries, and full messages are sent together", () => {
  const waves = entryBatches(Array.from({ length: 1201 }, (_, port) => operation(`+t${port}`)));
  expect(waves.map((wave) => wave.map(({ entries }) => entries.length))).toEqual([[500, 500, 201]]);
});

test("the rest of a batch keeps entries with their indexes", () => {
  const [batch] = entryBatches(["+t5", "+u1", "+t6", "+t7"].map(operation))[0] ?? [];
  if (batch === undefined) throw new Error("no batch");
  const rest = batchRest(batch, 1);
  expect(rest.entries.map(({ text }) => text)).toEqual(["6", "7"]);
  expect(rest.indexes).toEqual([2, 3]);
});
