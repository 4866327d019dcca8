/** Writes operator-texts.md: `npm run docs`. */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { literalsOf, type SourceLiteral } from "./source-literals.ts";

const ROOT = join(import.meta.dirname, "../../..");
export const PAGE = join(import.meta.dirname, "operator-texts.md");

/** Files whose texts are input for other tools, or are in the tables of docs/. */
const LEFT_OUT: readonly string[] = [
  "src/commands/dry-run/plan-lines.ts",
  "src/config/settings.ts",
  "src/node/rules/",
  "src/serve/metrics/",
];
const EVENTS = "src/events/event-records.ts";
const READINESS = "src/serve/health.ts";
const LEVELS = ["error", "warn", "info", "debug"] as const;
const LOG_CALL = /\blogger\??\.(debug|info|warn|error)$/;
/** A text with two words. Names, keys and paths have only one. */
const TEXT = /[a-z]{2,}.* |\s.*[a-z]{2,}/s;

interface OperatorText {
  readonly file: string;
  readonly text: string;
  /** The level of a log message; "" for other texts. */
  readonly level: string;
}

/** The page of all texts that an operator may see, from the literals of the sources. */
export function operatorTexts(): string {
  const files = globSync("src/**/*.ts", { cwd: ROOT }).toSorted();
  const texts = files
    .filter((file) => !LEFT_OUT.some((start) => file.startsWith(start)))
    .flatMap((file) => textsOf(file, literalsOf(readFileSync(join(ROOT, file), "utf8"))));
  const others = texts.filter(({ level }) => level === "");
  return [
    "# Texts for operators",
    "The texts of logs, Events, readiness and errors on one page, for review. `…` stands for a value. `npm run docs` writes this page.",
    "The help of flags and metrics and the reasons of Events are in `docs/`.",
    "## Log messages",
    ...LEVELS.map((level) => section(level, listed(texts.filter((text) => text.level === level)))),
    "## Notes of Events",
    section(EVENTS, listed(others.filter(({ file }) => file === EVENTS))),
    "## Readiness",
    section(READINESS, listed(others.filter(({ file }) => file === READINESS))),
    "## Errors, problems and output",
    ...[...Map.groupBy(others, ({ file }) => file)]
      .filter(([file]) => file !== EVENTS && file !== READINESS)
      .map(([file, ofFile]) => section(file, listed(ofFile))),
  ].join("\n\n");
}

function textsOf(file: string, literals: readonly SourceLiteral[]): readonly OperatorText[] {
  return literals.flatMap(({ text, calls: [call = ""] }) => {
    const [, level = ""] = LOG_CALL.exec(call) ?? [];
    const isNote = file === EVENTS && text.includes("…");
    return level !== "" || isNote || TEXT.test(text) ? [{ file, text, level }] : [];
  });
}

function section(title: string, lines: readonly string[]): string {
  return `### ${title}\n\n\`\`\`text\n${lines.join("\n")}\n\`\`\``;
}

function listed(texts: readonly OperatorText[]): readonly string[] {
  return [...new Set(texts.map(({ text }) => text.trim().replaceAll("\n", "\\n")))];
}

if (import.meta.main) writeFileSync(PAGE, `${operatorTexts()}\n`);
