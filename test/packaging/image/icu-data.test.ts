import { expect, test } from "vitest";
import { isKept, readIcuData, writeIcuData } from "../../../packaging/image/icu-data.ts";

/** Data of ICU with these items, written byte by byte after `ucmndata.h`; each item begins at a multiple of 16. */
function data(items: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(items);
  const header = Buffer.alloc(32);
  header.writeUInt16LE(32, 0);
  header.set([0xda, 0x27, 20, 0, 0, 0, 0, 0], 2);
  header.set(Buffer.from("CmnD"), 12);
  header.set([1, 0, 0, 0], 16);
  const table = Buffer.alloc(256);
  table.writeUInt32LE(names.length, 0);
  let nameAt = 4 + 8 * names.length;
  for (const [index, name] of names.entries()) {
    table.writeUInt32LE(nameAt, 4 + 8 * index);
    table.writeUInt32LE(256 + 16 * index, 8 + 8 * index);
    nameAt += table.write(`${name}\0`, nameAt);
  }
  return Buffer.concat([header, table, ...Object.values(items).map((text) => Buffer.from(text.padEnd(16, " ")))]);
}

const ITEMS = { "icudt78l/af.res": "afrikaans", "icudt78l/curr/en.res": "dollar", "icudt78l/zoneinfo64.res": "zones" };

test("items are read with their names", () => {
  expect(readIcuData(data(ITEMS)).map(({ name, content }) => [name, `${content}`.trim()])).toEqual(
    Object.entries(ITEMS),
  );
});

test("what is written is read again, with each item at a multiple of 16", () => {
  const original = data(ITEMS);
  const items = readIcuData(original).filter(({ name }) => isKept(name));
  const written = writeIcuData(original, items);
  expect(readIcuData(written).map(({ name, content }) => [name, `${content}`.replace(/[ \ufffd]+$/, "")])).toEqual([
    ["icudt78l/curr/en.res", "dollar"],
    ["icudt78l/zoneinfo64.res", "zones"],
  ]);
  expect(written.indexOf("dollar") % 16).toBe(0);
  expect(written.length).toBeLessThan(original.length);
});

test.each([
  ["icudt78l/en.res", true],
  ["icudt78l/en_US_POSIX.res", true],
  ["icudt78l/curr/en_150.res", true],
  ["icudt78l/root.res", true],
  ["icudt78l/pool.res", true],
  ["icudt78l/zone/tzdbNames.res", true],
  ["icudt78l/zone/res_index.res", true],
  ["icudt78l/supplementalData.res", true],
  ["icudt78l/coll/ucadata.icu", true],
  ["icudt78l/brkitr/word.brk", true],
  ["icudt78l/uts46.nrm", true],
  ["icudt78l/de.res", false],
  ["icudt78l/yue_Hant_HK.res", false],
  ["icudt78l/unit/es_419.res", false],
  ["icudt78l/coll/de__PHONEBOOK.res", false],
  ["icudt78l/coll/es_.res", false],
  ["icudt78l/ca_ES_VALENCIA.res", false],
  ["icudt78l/brkitr/thaidict.dict", false],
  ["icudt78l/ibm-943_P15A-2003.cnv", false],
  ["icudt78l/translit/root.res", false],
])("%s is kept: %s", (name, kept) => {
  expect(isKept(name)).toBe(kept);
});

test("data of another format are refused", () => {
  const other = data(ITEMS);
  other.write("ResB", 12);
  expect(() => readIcuData(other)).toThrow(/format CmnD/);
});
