/**
 * `node packaging/image/trim-node.ts FROM TO`: copies Node.js without the symbols of its debugger (as strip does) and without the
 * data of ICU that the agent does not use (icu-data.ts).
 *
 * The data are in the middle of a segment, and the code knows the addresses of what stands behind them. So all addresses stay: the segment
 * is divided in two, and the pages of removed data are in neither the file nor the memory. The second half takes the entry of
 * a PT_NOTE segment in the table, which has no room for more; the notes are still found by their sections.
 */
import { readFileSync, writeFileSync } from "node:fs";
import {
  type Elf,
  PT_LOAD,
  PT_NOTE,
  readElf,
  type Section,
  type Segment,
  SHF_ALLOC,
  SHT_DYNSYM,
  SHT_NOBITS,
  SHT_STRTAB,
  SYMBOL_LENGTH,
  SYMBOL_SIZE,
  textAt,
  writeSections,
  writeSegments,
} from "./elf.ts";
import { isKept, readIcuData, writeIcuData } from "./icu-data.ts";

/** Bytes of the file, and the address to which they are mapped. */
interface Range {
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Where the data of ICU are, and where the table of symbols has their size. */
export function findIcuData({ bytes, sections, segments }: Elf): Range & { readonly sizeAt: number } {
  const table = sections.find(({ type }) => type === SHT_DYNSYM);
  const names = sections[table?.link ?? 0];
  if (table === undefined || names === undefined) throw new Error("The program has no dynamic symbols");
  for (let at = table.offset; at < table.offset + table.size; at += SYMBOL_SIZE) {
    if (!/^icudt\d+_dat$/.test(textAt(bytes, names.offset + bytes.readUInt32LE(at)))) continue;
    const address = Number(bytes.readBigUInt64LE(at + 8));
    const sizeAt = at + SYMBOL_LENGTH;
    const segment = loadAt(segments, address);
    return {
      address,
      offset: segment.offset + address - segment.address,
      size: Number(bytes.readBigUInt64LE(sizeAt)),
      sizeAt,
    };
  }
  throw new Error("The program has no symbol icudt*_dat: it has no data of ICU");
}

const within = (begin: number, size: number, at: number): boolean => begin <= at && at < begin + size;
const end = ({ offset, size }: { readonly offset: number; readonly size: number }): number => offset + size;
const roundUp = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** The program with `data` in the place of its data of ICU, which must not be smaller, and without what only debuggers use. */
export function replaceIcuData(elf: Elf, data: Buffer): Buffer {
  const old = findIcuData(elf);
  if (data.length > old.size) throw new Error("The new data of ICU are larger than the old ones");
  const hole = holeBehind(elf, old, data.length);
  const moved = <T extends { readonly offset: number }>(part: T): T =>
    part.offset < hole.offset ? part : { ...part, offset: part.offset - hole.size };
  const bytes = Buffer.from(elf.bytes);
  bytes.fill(0, old.offset, end(old));
  data.copy(bytes, old.offset);
  bytes.writeBigUInt64LE(BigInt(data.length), old.sizeAt);
  writeSegments(divideSegments(elf, hole).map(moved)).copy(bytes, elf.segmentsAt);

  const mapped = Math.max(
    ...elf.segments.filter(({ type }) => type === PT_LOAD).map((one) => one.offset + one.fileSize),
  );
  const program = Buffer.concat([bytes.subarray(0, hole.offset), bytes.subarray(end(hole), mapped)]);
  return withSections(program, divideSections(elf, hole).map(moved));
}

/** What the file loses: whole pages, so that the addresses of what follows stay possible. */
function holeBehind({ segments }: Elf, old: Range, size: number): Range {
  const { alignment } = loadAt(segments, old.address);
  const begin = roundUp(old.offset + size, alignment);
  const last = Math.floor(end(old) / alignment) * alignment;
  return { offset: begin, address: old.address + begin - old.offset, size: Math.max(0, last - begin) };
}

function loadAt(segments: readonly Segment[], address: number): Segment {
  const found = segments.find((one) => one.type === PT_LOAD && within(one.address, one.fileSize, address));
  if (found === undefined) throw new Error(`No segment has the address 0x${address.toString(16)}`);
  return found;
}

/** The segments with the one of the hole in two. What lies behind the hole has its old offset. */
function divideSegments({ segments }: Elf, hole: Range): readonly Segment[] {
  const whole = loadAt(segments, hole.address);
  const note = segments.findLast(({ type }) => type === PT_NOTE);
  if (note === undefined) throw new Error("The table of segments has no PT_NOTE that can give its place");
  const size = hole.address - whole.address;
  const rest = whole.fileSize - size - hole.size;
  return segments.flatMap((one) => {
    if (one === note) return [];
    if (one !== whole) return [one];
    return [
      { ...one, fileSize: size, memorySize: size },
      { ...one, offset: end(hole), address: hole.address + hole.size, fileSize: rest, memorySize: rest },
    ];
  });
}

/** The sections that are mapped, with the one of the hole in two; the second is the last, since symbols count them. */
function divideSections({ sections }: Elf, hole: Range): readonly Section[] {
  const kept = sections.filter(({ flags, type }) => type === 0 || (flags & SHF_ALLOC) !== 0);
  if (kept.some((section, index) => section !== sections[index]))
    throw new Error("A section that is not mapped stands before one that is");
  const whole = kept.find(({ type, offset, size }) => type !== SHT_NOBITS && within(offset, size, hole.offset));
  if (whole === undefined) throw new Error("The data of ICU are in no section");
  const size = hole.offset - whole.offset;
  const rest = { ...whole, offset: end(hole), address: hole.address + hole.size, size: whole.size - size - hole.size };
  return [...kept.map((one) => (one === whole ? { ...one, size } : one)), rest];
}

/** The program with a new table of sections. */
function withSections(program: Buffer, sections: readonly Section[]): Buffer {
  const names = { ...NO_SECTION, name: ".shstrtab", type: SHT_STRTAB, alignment: 1 };
  const all = [...sections, names];
  const written = writeSections(all, program.length);
  const gap = Buffer.alloc(-(program.length + written.names.length) & 7);
  const bytes = Buffer.concat([program, written.names, gap, written.table]);
  bytes.writeBigUInt64LE(BigInt(bytes.length - written.table.length), 40);
  bytes.writeUInt16LE(all.length, 60);
  bytes.writeUInt16LE(all.length - 1, 62);
  return bytes;
}

const NO_SECTION: Section = {
  name: "",
  type: 0,
  flags: 0,
  address: 0,
  offset: 0,
  size: 0,
  link: 0,
  info: 0,
  alignment: 0,
  entrySize: 0,
};

/** Node.js as it ships in the image. */
export function trimNode(bytes: Buffer): Buffer {
  const elf = readElf(bytes);
  const { offset, size } = findIcuData(elf);
  const data = bytes.subarray(offset, offset + size);
  return replaceIcuData(
    elf,
    writeIcuData(
      data,
      readIcuData(data).filter(({ name }) => isKept(name)),
    ),
  );
}

if (import.meta.main) {
  const [, , from = "", to = ""] = process.argv;
  writeFileSync(to, trimNode(readFileSync(from)), { mode: 0o755 });
}
