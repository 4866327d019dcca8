import { expect, test } from "vitest";
import {
  type Elf,
  PT_LOAD,
  PT_NOTE,
  readElf,
  type Section,
  type Segment,
  writeSections,
  writeSegments,
} from "../../../packaging/image/elf.ts";
import { findIcuData, replaceIcuData } from "../../../packaging/image/trim-node.ts";

const PAGE = 0x1000;
const BASE = 0x40_0000;
const segment = { flags: 4, alignment: PAGE };
const section = { type: 1, flags: 2, link: 0, info: 0, alignment: 1, entrySize: 0 };
const at = (offset: number, size: number) => ({ offset, address: BASE + offset, size });

/** A program: its first page has the tables, then come five pages of data of ICU, one of text behind them, and symbols of a debugger. */
function program(): Buffer {
  const bytes = Buffer.alloc(8 * PAGE);
  bytes.write("\x7fELF\x02\x01\x01", 0, "latin1");
  bytes.writeUInt16LE(62, 18);
  bytes.writeBigUInt64LE(64n, 32);
  const segments: readonly Segment[] = [
    { ...segment, type: PT_LOAD, offset: 0, address: BASE, fileSize: 7 * PAGE, memorySize: 7 * PAGE },
    { ...segment, type: PT_NOTE, offset: 512, address: BASE + 512, fileSize: 16, memorySize: 16 },
  ];
  bytes.writeUInt16LE(segments.length, 56);
  writeSegments(segments).copy(bytes, 64);
  const sections: readonly Section[] = [
    { ...section, name: "", type: 0, flags: 0, offset: 0, address: 0, size: 0 },
    { ...section, name: ".dynsym", type: 11, link: 2, ...at(1024, 48) },
    { ...section, name: ".dynstr", type: 3, ...at(1280, 32) },
    { ...section, name: ".rodata", ...at(PAGE, 6 * PAGE) },
    { ...section, name: ".symtab", type: 2, flags: 0, ...at(7 * PAGE, 64), address: 0 },
    { ...section, name: ".shstrtab", type: 3, flags: 0, offset: 0, address: 0, size: 0 },
  ];
  bytes.write("\0icudt78_dat\0", 1280, "latin1");
  bytes.writeUInt32LE(1, 1024 + 24);
  bytes.writeBigUInt64LE(BigInt(BASE + PAGE), 1024 + 32);
  bytes.writeBigUInt64LE(BigInt(5 * PAGE - 32), 1024 + 40);
  bytes.fill("I", PAGE, 6 * PAGE - 32);
  bytes.fill("T", 6 * PAGE - 32, 7 * PAGE);
  const { names, table } = writeSections(sections, 7 * PAGE + 64);
  names.copy(bytes, 7 * PAGE + 64);
  table.copy(bytes, 7 * PAGE + 256);
  bytes.writeBigUInt64LE(BigInt(7 * PAGE + 256), 40);
  bytes.writeUInt16LE(sections.length, 60);
  bytes.writeUInt16LE(sections.length - 1, 62);
  return bytes;
}

/** The bytes at an address, as they are mapped. */
function mapped({ bytes, segments }: Elf, address: number, size: number): string {
  const found = segments.find(
    (one) => one.type === PT_LOAD && address >= one.address && address + size <= one.address + one.fileSize,
  );
  if (found === undefined) return "not mapped";
  return bytes.toString(
    "latin1",
    found.offset + address - found.address,
    found.offset + address - found.address + size,
  );
}

test("the data of ICU are found by their symbol", () => {
  expect(findIcuData(readElf(program()))).toMatchObject({ ...at(PAGE, 5 * PAGE - 32), sizeAt: 1024 + 40 });
});

test("smaller data leave a gap; what stands behind them keeps its address", () => {
  const bytes = replaceIcuData(readElf(program()), Buffer.alloc(100, "n"));
  const elf = readElf(bytes);
  expect(mapped(elf, BASE + PAGE, 101)).toBe(`${"n".repeat(100)}\0`);
  expect(mapped(elf, BASE + 2 * PAGE, 1)).toBe("not mapped");
  expect(mapped(elf, BASE + 6 * PAGE - 32, 32)).toBe("T".repeat(32));
  expect(elf.segments.map(({ type, offset, address, fileSize }) => [type, offset, address - BASE, fileSize])).toEqual([
    [PT_LOAD, 0, 0, 2 * PAGE],
    [PT_LOAD, 2 * PAGE, 5 * PAGE, 2 * PAGE],
  ]);
  expect(findIcuData(elf).size).toBe(100);
});

test("sections that are not mapped go, and that of the data is in two", () => {
  const { sections } = readElf(replaceIcuData(readElf(program()), Buffer.alloc(100, "n")));
  expect(sections.map(({ name, offset, size }) => [name, offset, size])).toEqual([
    ["", 0, 0],
    [".dynsym", 1024, 48],
    [".dynstr", 1280, 32],
    [".rodata", PAGE, PAGE],
    [".rodata", 2 * PAGE, 2 * PAGE],
    [".shstrtab", 4 * PAGE, expect.any(Number)],
  ]);
});

test("larger data and a program without data of ICU are refused", () => {
  expect(() => replaceIcuData(readElf(program()), Buffer.alloc(6 * PAGE))).toThrow(/larger/);
  const without = program();
  without.write("other", 1281);
  expect(() => findIcuData(readElf(without))).toThrow(/no data of ICU/);
});
