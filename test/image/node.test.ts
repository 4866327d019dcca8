import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PT_LOAD, readElf } from "../../packaging/image/elf.ts";
import { isKept, readIcuData } from "../../packaging/image/icu-data.ts";
import { findIcuData } from "../../packaging/image/trim-node.ts";
import { output } from "../support/node/namespace.ts";
import { IMAGE_ROOT } from "../support/packaging/image-folder.ts";

/** Node.js of the image, against the one that runs this test, from which it was made. */
const SHIPPED = join(IMAGE_ROOT, "usr/bin/node");
const ORIGINAL = realpathSync(process.execPath);

/** Each page of a program that the kernel maps, by its address, without the table of segments at the begin of the file. */
function pages(path: string): Map<number, Buffer> {
  const { bytes, segments, segmentsAt } = readElf(readFileSync(path));
  bytes.fill(0, 0, segmentsAt + segments.length * 56);
  const found = new Map<number, Buffer>();
  for (const { type, offset, address, fileSize } of segments)
    for (let at = 0; type === PT_LOAD && at < fileSize; at += 4096)
      found.set(address + at, bytes.subarray(offset + at, offset + Math.min(at + 4096, fileSize)));
  return found;
}

test("every address of Node.js has the bytes of the original, except the data of ICU and their size", () => {
  const { address, size, sizeAt } = findIcuData(readElf(readFileSync(ORIGINAL)));
  const original = pages(ORIGINAL);
  const shipped = pages(SHIPPED);
  const different = [...original].filter(([at, page]) => shipped.get(at)?.equals(page) !== true).map(([at]) => at);
  const outside = different.filter((at) => at + 4096 <= address || at >= address + size);
  const [first] = original.keys();
  expect(outside).toEqual([Number(first) + Math.floor(sizeAt / 4096) * 4096]);
  expect([...shipped.keys()].filter((at) => !original.has(at))).toEqual([]);
  expect(original.size - shipped.size).toBeGreaterThan(6_000);
});

test("its data of ICU are those of the original that are of English or of no language, unchanged", () => {
  const items = (path: string) => {
    const elf = readElf(readFileSync(path));
    const { offset, size } = findIcuData(elf);
    return readIcuData(elf.bytes.subarray(offset, offset + size));
  };
  const trimmedFill = (content: Buffer) => content.toString("latin1").replace(/\xaa{0,15}$/, "");
  const kept = items(ORIGINAL).filter(({ name }) => isKept(name));
  const shipped = items(SHIPPED);
  expect(shipped.map(({ name }) => name)).toEqual(kept.map(({ name }) => name));
  for (const [index, { name, content }] of shipped.entries())
    expect(trimmedFill(content) === trimmedFill(kept[index]?.content ?? Buffer.alloc(0)), name).toBe(true);
});

test("readelf finds no fault in it, and the same libraries", async () => {
  const read = (path: string) => output(["sh", "-c", `readelf -lSdW "${path}" 2>&1`]);
  const [original, shipped] = [await read(ORIGINAL), await read(SHIPPED)];
  const libraries = (text: string) => [...text.matchAll(/Shared library: .*/g)].map(([line]) => line);
  expect(shipped).not.toMatch(/warning|error/i);
  expect(libraries(shipped)).toEqual(libraries(original));
});

/** What ICU is asked for by programs, also by some that the agent does not contain. */
const QUESTIONS = {
  "numbers and times in English": `[
    new Intl.NumberFormat("en", { style: "currency", currency: "EUR" }).format(1234567.5),
    new Intl.NumberFormat("en-GB", { style: "unit", unit: "megabyte", unitDisplay: "long" }).format(3),
    new Date(0).toLocaleString("en-GB", { timeZone: "Europe/Berlin", timeZoneName: "long", dateStyle: undefined }),
    new Intl.RelativeTimeFormat("en").format(-3, "day"), new Intl.PluralRules("en", { type: "ordinal" }).select(2),
    new Intl.ListFormat("en").format(["a", "b", "c"]), new Intl.DisplayNames("en", { type: "region" }).of("DE"),
  ]`,
  "time zones": `["Europe/Berlin", "Asia/Tokyo", "America/New_York"].map((timeZone) => new Date(1e12).toLocaleString("en", { timeZone }))`,
  "names of time zones": `Intl.supportedValuesOf("timeZone").length`,
  "the order of texts": `["ä", "Z", "a", "z", "10", "9"].sort(new Intl.Collator("en", { numeric: true }).compare)`,
  "words and characters": `["word", "grapheme", "sentence"].map((granularity) => [...new Intl.Segmenter("en", { granularity }).segment("A bé. 👩‍👩‍👧 d")].length)`,
  normalization: `["NFC", "NFD", "NFKC", "NFKD"].map((form) => "ﬀé①".normalize(form))`,
  "upper and lower case": `["ß".toUpperCase(), "İ".toLowerCase(), "i".toLocaleUpperCase("tr")]`,
  "classes of characters": `"aé١\\u200b中".replace(/\\p{L}|\\p{Cf}/gu, "x")`,
  "domain names": `[new URL("http://bücher.example").host, require("url").domainToUnicode("xn--bcher-kva.example")]`,
  "UTF-8, UTF-16 and Latin 1": `["utf-8", "utf-16le", "latin1"].map((name) => new TextDecoder(name).decode(Uint8Array.of(65, 0, 66, 0)))`,
  "a language that it lacks is no error": `typeof new Intl.NumberFormat("de").format(1.5) + typeof "ä".localeCompare("b", "sv")`,
};

test.each(Object.entries(QUESTIONS))("answers as the original: %s", (_, question) => {
  const answer = (program: readonly string[]) =>
    execFileSync("env", ["-i", "PATH=/usr/sbin:/usr/bin", ...program, "-p", `JSON.stringify(${question})`], {
      encoding: "utf8",
    });
  expect(answer(["chroot", IMAGE_ROOT, "/usr/bin/node"])).toBe(answer([ORIGINAL]));
});
