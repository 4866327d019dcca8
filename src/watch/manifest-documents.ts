import { setImmediate as nextTurn } from "node:timers/promises";
import { Composer, type Document, LineCounter, Parser } from "yaml";
import type { Rejection } from "../model/service.ts";

/** One document of a file as plain data, or why there is none. They are numbered from 1. */
export type ManifestDocument =
  | { readonly kind: "parsed"; readonly number: number; readonly value: unknown }
  | { readonly kind: "unparsable"; readonly number: number; readonly rejection: Rejection };

/** Documents parsed before others get a turn: a Service takes some 0.3 ms. */
const DOCUMENTS_PER_TURN = 16;

/**
 * Parses the documents of a file; empty ones are left out but counted. A .json file that is no strict JSON is read as
 * YAML, of which JSON is a part: its parser names the line that is wrong.
 */
export async function parseDocuments(file: string, text: string): Promise<readonly ManifestDocument[]> {
  const value = file.endsWith(".json") ? strictJson(text) : undefined;
  return value === undefined ? parseYaml(file, text) : [{ kind: "parsed", number: 1, value }];
}

/** Undefined for what is no JSON. 10,000 Services and their slices take 0.05 s here and 5 s as YAML. */
function strictJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function parseYaml(file: string, text: string): Promise<readonly ManifestDocument[]> {
  const documents: ManifestDocument[] = [];
  const lines = new LineCounter();
  let number = 0;
  for (const document of new Composer().compose(new Parser(lines.addNewLine).parse(text), false)) {
    number += 1;
    const read = readDocument(file, number, document, lines);
    if (read.kind === "unparsable" || read.value !== null) documents.push(read);
    if (number % DOCUMENTS_PER_TURN === 0) await nextTurn();
  }
  return documents;
}

function readDocument(file: string, number: number, document: Document, lines: LineCounter): ManifestDocument {
  const [error] = document.errors;
  if (error !== undefined) return unparsable(file, number, lines.linePos(error.pos[0]).line, error.message);
  try {
    return { kind: "parsed", number, value: document.toJS() };
  } catch (thrown) {
    // An alias without its anchor, or one that would expand without end, shows only here.
    const start = document.contents?.range?.[0] ?? 0;
    return unparsable(file, number, lines.linePos(start).line, thrown instanceof Error ? thrown.message : `${thrown}`);
  }
}

function unparsable(file: string, number: number, line: number, reason: string): ManifestDocument {
  const object = `file ${file} document ${number}`;
  return { kind: "unparsable", number, rejection: { object, field: `line ${line}`, value: "", reason } };
}
