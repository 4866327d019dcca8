/**
 * What the image needs of the format ELF (64 bits, little-endian; `elf.h`): the tables of a program, as records that can be
 * changed and written again.
 */

export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const SHF_ALLOC = 2;
export const SHT_STRTAB = 3;
const SHT_DYNAMIC = 6;
export const SHT_NOBITS = 8;
export const SHT_DYNSYM = 11;

const SEGMENT_SIZE = 56;
export const SECTION_SIZE = 64;
export const SYMBOL_SIZE = 24;
/** Where `st_size` is in a symbol. */
export const SYMBOL_LENGTH = 16;

/** A part of the file that is mapped, or describes such a part (`Elf64_Phdr`). All numbers are bytes. */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly alignment: number;
}

/** A part of the file, for linkers and debuggers (`Elf64_Shdr`). */
export interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly address: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly alignment: number;
  readonly entrySize: number;
}

export interface Elf {
  readonly bytes: Buffer;
  /** `e_machine`: 62 is x86-64, 183 is AArch64. */
  readonly machine: number;
  readonly segmentsAt: number;
  readonly segments: readonly Segment[];
  readonly sections: readonly Section[];
}

const word = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));

/** The text that ends with a zero byte. */
export const textAt = (bytes: Buffer, at: number): string => bytes.toString("latin1", at, bytes.indexOf(0, at));

/** Throws if the file is not ELF of 64 bits, little-endian. */
export function readElf(bytes: Buffer): Elf {
  if (bytes.toString("latin1", 0, 6) !== "\x7fELF\x02\x01")
    throw new Error("This is no ELF file of 64 bits, little-endian");
  const segmentsAt = word(bytes, 32);
  const segments = Array.from({ length: bytes.readUInt16LE(56) }, (_, index): Segment => {
    const at = segmentsAt + index * SEGMENT_SIZE;
    return {
      type: bytes.readUInt32LE(at),
      flags: bytes.readUInt32LE(at + 4),
      offset: word(bytes, at + 8),
      address: word(bytes, at + 16),
      fileSize: word(bytes, at + 32),
      memorySize: word(bytes, at + 40),
      alignment: word(bytes, at + 48),
    };
  });
  const sectionsAt = word(bytes, 40);
  const headers = Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => sectionsAt + index * SECTION_SIZE);
  const namesAt = word(bytes, (headers[bytes.readUInt16LE(62)] ?? 0) + 24);
  const sections = headers.map(
    (at): Section => ({
      name: textAt(bytes, namesAt + bytes.readUInt32LE(at)),
      type: bytes.readUInt32LE(at + 4),
      flags: word(bytes, at + 8),
      address: word(bytes, at + 16),
      offset: word(bytes, at + 24),
      size: word(bytes, at + 32),
      link: bytes.readUInt32LE(at + 40),
      info: bytes.readUInt32LE(at + 44),
      alignment: word(bytes, at + 48),
      entrySize: word(bytes, at + 56),
    }),
  );
  return { bytes, machine: bytes.readUInt16LE(18), segmentsAt, segments, sections };
}

/** The table of segments as it stands in a file. Physical addresses are the virtual ones, as on Linux. */
export function writeSegments(segments: readonly Segment[]): Buffer {
  const table = Buffer.alloc(segments.length * SEGMENT_SIZE);
  for (const [index, segment] of segments.entries()) {
    const at = table.subarray(index * SEGMENT_SIZE);
    at.writeUInt32LE(segment.type);
    at.writeUInt32LE(segment.flags, 4);
    const { offset, address, fileSize, memorySize, alignment } = segment;
    for (const [field, value] of [offset, address, address, fileSize, memorySize, alignment].entries())
      at.writeBigUInt64LE(BigInt(value), 8 + field * 8);
  }
  return table;
}

/** The names of sections and their table, which belong to the end of a file; `names` is the section that has the names. */
export function writeSections(sections: readonly Section[], namesAt: number): { names: Buffer; table: Buffer } {
  const texts = [...new Set(sections.map(({ name }) => name))];
  const names = Buffer.from(texts.map((text) => `${text}\0`).join(""), "latin1");
  const table = Buffer.alloc(sections.length * SECTION_SIZE);
  for (const [index, section] of sections.entries()) {
    const at = table.subarray(index * SECTION_SIZE);
    const isNames = index === sections.length - 1;
    at.writeUInt32LE(names.indexOf(`${section.name}\0`), 0);
    at.writeUInt32LE(section.type, 4);
    const [offset, size] = isNames ? [namesAt, names.length] : [section.offset, section.size];
    for (const [field, value] of [section.flags, section.address, offset, size].entries())
      at.writeBigUInt64LE(BigInt(value), 8 + field * 8);
    at.writeUInt32LE(section.link, 40);
    at.writeUInt32LE(section.info, 44);
    at.writeBigUInt64LE(BigInt(section.alignment), 48);
    at.writeBigUInt64LE(BigInt(section.entrySize), 56);
  }
  return { names, table };
}

/** Tags of the dynamic table. */
const DT_NEEDED = 1;
/** The section in which programs of Debian note what they load when they need it (systemd's ELF_DLOPEN_METADATA). */
const OPTIONAL_LIBRARIES = ".note.dlopen";

/** The names of the libraries that the loader loads with a file, and the path of the loader, if the file names one. */
export function linkedLibraries({ bytes, segments, sections }: Elf): readonly string[] {
  const loader = segments.filter(({ type }) => type === PT_INTERP).map(({ offset }) => textAt(bytes, offset));
  const dynamic = sections.find(({ type }) => type === SHT_DYNAMIC);
  const names = sections[dynamic?.link ?? 0];
  if (dynamic === undefined || names === undefined) return loader;
  const entries = Array.from({ length: dynamic.size / 16 }, (_, index) => dynamic.offset + index * 16);
  const needed = entries.filter((at) => word(bytes, at) === DT_NEEDED);
  return [...loader, ...needed.map((at) => textAt(bytes, names.offset + word(bytes, at + 8)))];
}

/** The names of the libraries that a file loads when it needs them, as far as it notes them. */
export function optionalLibraries({ bytes, sections }: Elf): readonly string[] {
  const notes = sections.find(({ name }) => name === OPTIONAL_LIBRARIES);
  if (notes === undefined) return [];
  const text = bytes.toString("latin1", notes.offset, notes.offset + notes.size);
  return [...text.matchAll(/"soname":\["([^"]+)"/g)].map(([, name = ""]) => name);
}
