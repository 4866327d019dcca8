/**
 * The data of ICU, which is a third of Node.js: a file of items by name (ICU's format "CmnD", `ucmndata.h`), with the texts and
 * formats of all languages and the conversions of old character sets. The agent writes English and UTF-8.
 */

/** A header of `headerSize` bytes, the table of contents, and the items. Offsets in the table count from its begin. */
const NAME = 0;
const CONTENT = 4;
const ENTRY = 8;
/** To which ICU aligns each item, and what it fills the gaps with. */
const ALIGNMENT = 16;
const FILL = 0xaa;

export interface IcuItem {
  /** With the name of the package before it, as "icudt78l/curr/en.res". */
  readonly name: string;
  readonly content: Buffer;
}

/** A language, perhaps with script, country and variant, as in "zh_Hant_TW.res" or "de__PHONEBOOK.res". */
const LOCALE = /^([a-z]{2,3})(?:_[A-Z][a-z]{3})?(?:_(?:[A-Z]{2}|\d{3})?)?(?:_+[A-Z]+)?\.res$/;

/**
 * Whether the agent's ICU has an item: those of English and of no language. As in a Node.js that is configured `--with-intl=small-icu`, there
 * are no other languages, no tables of character sets, no dictionaries that divide text without spaces, no transliteration.
 */
export function isKept(name: string): boolean {
  const [, folder = "", file = ""] = /^[^/]+\/(?:(.+)\/)?([^/]+)$/.exec(name) ?? [];
  if (folder === "translit" || /\.(cnv|dict)$/.test(file)) return false;
  const language = LOCALE.exec(file)?.[1];
  return language === undefined || language === "en";
}

function checkHeader(data: Buffer): { readonly headerSize: number; readonly count: number } {
  const headerSize = data.readUInt16LE(0);
  // Magic, sizes and byte order of DataHeader, and format "CmnD" of version 1.
  const fits =
    data.readUInt16BE(2) === 0xda27 && data[8] === 0 && data.toString("latin1", 12, 16) === "CmnD" && data[16] === 1;
  if (!fits) throw new Error("The data of ICU do not begin with a header of the format CmnD, version 1, little-endian");
  return { headerSize, count: data.readUInt32LE(headerSize) };
}

/** All items, sorted by name. The last one ends where the data end. */
export function readIcuData(data: Buffer): readonly IcuItem[] {
  const { headerSize, count } = checkHeader(data);
  const toc = data.subarray(headerSize);
  const entry = (index: number) => 4 + index * ENTRY;
  return Array.from({ length: count }, (_, index) => {
    const name = toc.readUInt32LE(entry(index) + NAME);
    const begin = toc.readUInt32LE(entry(index) + CONTENT);
    const end = index + 1 < count ? toc.readUInt32LE(entry(index + 1) + CONTENT) : toc.length;
    return { name: toc.toString("latin1", name, toc.indexOf(0, name)), content: toc.subarray(begin, end) };
  });
}

/** The header of `data` with these items, which must be sorted by name: ICU searches by halves. */
export function writeIcuData(data: Buffer, items: readonly IcuItem[]): Buffer {
  const { headerSize } = checkHeader(data);
  const names = Buffer.from(items.map(({ name }) => `${name}\0`).join(""), "latin1");
  const table = Buffer.alloc(4 + items.length * ENTRY);
  table.writeUInt32LE(items.length);
  const parts: Buffer[] = [table, names];
  let size = table.length + names.length;
  let name = table.length;
  for (const [index, item] of items.entries()) {
    const gap = Buffer.alloc(-size & (ALIGNMENT - 1), FILL);
    table.writeUInt32LE(name, 4 + index * ENTRY + NAME);
    table.writeUInt32LE(size + gap.length, 4 + index * ENTRY + CONTENT);
    parts.push(gap, item.content);
    name += item.name.length + 1;
    size += gap.length + item.content.length;
  }
  return Buffer.concat([data.subarray(0, headerSize), ...parts]);
}
