import { setImmediate as nextTurn } from "node:timers/promises";
import { Composer, type Document, LineCounter, Parser } from "yaml";
import { manifestPart, type Problem } from "../../model/cluster/problem.ts";
import { structureFault } from "./manifest-structure.ts";

/** A document of a file as plain data, or the reason for which it is unparsable. The first document has number 1. */
export type ManifestDocument =
  | { readonly kind: "parsed"; readonly number: number; readonly value: unknown }
  | { readonly kind: "unparsable"; readonly number: number; readonly problem: Problem };

/** The number of documents that are parsed in one turn of the event loop. A Service takes some 0.3 ms. */
const DOCUMENTS_PER_TURN = 16;
/**
 * The longest JSON text that is parsed as YAML. The YAML parser takes a hundred times as long as the JSON parser, and
 * blocks the event loop for a whole document.
 */
const LONGEST_JSON_AS_YAML = 1_048_576;

/**
 * Merge keys (`<<`) work as in kubectl. `structureFault` finds repeated keys. The parser prints no warnings to stderr,
 * because problems are reported to the listener.
 */
const YAML_OPTIONS = { merge: true, uniqueKeys: false, logLevel: "error" } as const;

/**
 * Parses the documents of a file. Empty documents are left out but counted. A .json file that is not strict JSON is parsed
 * as YAML, which includes JSON, because the YAML parser reports the line of an error. Above one megabyte the message of
 * the JSON parser is used.
 */
export async function parseDocuments(file: string, text: string): Promise<readonly ManifestDocument[]> {
  if (!file.endsWith(".json")) return parseYaml(file, text);
  try {
    return [{ kind: "parsed", number: 1, value: JSON.parse(text) }];
  } catch (error) {
    if (text.length <= LONGEST_JSON_AS_YAML) return parseYaml(file, text);
    return [unparsable(file, 1, "", `is not JSON: ${messageOf(error)}`)];
  }
}

async function parseYaml(file: string, text: string): Promise<readonly ManifestDocument[]> {
  const documents: ManifestDocument[] = [];
  const lines = new LineCounter();
  let number = 0;
  for (const document of composed(text, lines)) {
    number += 1;
    const read = "thrown" in document ? lostAt(file, number, document) : readDocument(file, number, document, lines);
    if (read.kind === "unparsable" || read.value !== null) documents.push(read);
    if (number % DOCUMENTS_PER_TURN === 0) await nextTurn();
  }
  return documents;
}

/** An exception of the parser. */
interface Thrown {
  readonly thrown: unknown;
}

/**
 * The documents of the text up to an exception of the parser, then the exception. The parser is recursive, so that a
 * deeply nested sequence overflows the stack.
 */
function* composed(text: string, lines: LineCounter): Generator<Document | Thrown> {
  const composer = new Composer(YAML_OPTIONS);
  let failure: Thrown | undefined;
  try {
    for (const token of new Parser(lines.addNewLine).parse(text)) yield* composer.next(token);
  } catch (thrown) {
    failure = { thrown };
  }
  yield* composer.end();
  if (failure !== undefined) yield failure;
}

function lostAt(file: string, number: number, { thrown }: Thrown): ManifestDocument {
  return unparsable(file, number, "", `cannot be parsed, and the rest of the file is skipped: ${messageOf(thrown)}`);
}

function readDocument(file: string, number: number, document: Document, lines: LineCounter): ManifestDocument {
  const lineOf = (offset: number) => `line ${lines.linePos(offset).line}`;
  const [error] = document.errors;
  if (error !== undefined) return unparsable(file, number, lineOf(error.pos[0]), error.message);
  const fault = structureFault(document);
  if (fault !== undefined) return unparsable(file, number, lineOf(fault.offset), fault.reason);
  try {
    return { kind: "parsed", number, value: document.toJS() };
  } catch (thrown) {
    // toJS finds aliases without an anchor and aliases that expand without end.
    return unparsable(file, number, lineOf(document.contents?.range?.[0] ?? 0), messageOf(thrown));
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : "an exception without a message";
}

function unparsable(file: string, number: number, field: string, reason: string): ManifestDocument {
  const object = manifestPart(`file ${file} document ${number}`);
  return { kind: "unparsable", number, problem: { object, field, value: "", reason } };
}
