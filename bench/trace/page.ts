import { isWord, type Visit, type Way } from "./way.ts";

/** A file that passes the change on, with the files that only return values to it. */
export interface Step {
  readonly visit: Visit;
  readonly helpers: readonly Visit[];
}

/** The maximum number of steps: each is a file that a reader of the whole way must open. */
export const MOST_STEPS = 45;

/** Returns a page on the way, in Markdown. `purposeOf` gives a sentence on the purpose of a file. */
export function pageOf(way: Way, purposeOf: (file: string) => string): string {
  const steps = stepsOf(way.before);
  const words = way.before.filter(({ file }) => isWord(file));
  const helpers = way.before.length - steps.length - words.length;
  const line = ({ file, functions }: Visit) =>
    [`**${file}**`, purposeOf(file), ...functions.map((name) => `\`${name}\``)].join(" ");
  const list = (visits: readonly Visit[]) => visits.map((visit) => `- ${line(visit)}`).join("\n");
  const numbered = steps.map((step, index) => {
    const number = `${index + 1}. `;
    const helpers = step.helpers.map((helper) => `${" ".repeat(number.length)}- ${line(helper)}`);
    return [`${number}${line(step.visit)}`, ...helpers].join("\n");
  });
  return `# Files that run for one change of an endpoint

<!-- Written by npm run trace: do not edit. -->

An EndpointSlice of a Service gets one more endpoint, which is ready and on another node. This page lists the files of \`src/\` that run, in the
order in which they are first called, and their functions in the same order; value files are listed by name. The agent is the \`run\` command with a watch over TLS. In place
of the kernel, a scripted netlink peer acknowledges each request (\`bench/trace/\`).

A value file is a file of \`model/\` or \`process/\`: it defines values, or the time. A step calls functions of files that are not value files. A
helper returns values to a step and calls only value files. There should be at most ${MOST_STEPS} steps, because a reader who follows the change has to open each one.

| files | number |
| --- | ---: |
| steps: files that call the next file                         | ${cell(steps.length)} |
| helpers: files that return values to a step                  | ${cell(helpers)} |
| value files: files of \`model/\` and \`process/\`                | ${cell(words.length)} |
| all files from the watch event to the acknowledgement        | ${cell(way.before.length)} |
| files that run only after the acknowledgement, but no value files | ${cell(lastly(way).length)} |

Other files call these functions of \`agent.ts\`: ${returnsOf(way)}.

## From the watch event to the acknowledgement

${numbered.join("\n")}

## Value files

${list(words.map(sorted).toSorted(byFile))}

## After the acknowledgement

${list(way.after.filter(({ file }) => !isWord(file)))}
`;
}

/** A value file with its functions by name: timers of the agent decide which of them is called first. */
function sorted(visit: Visit): Visit {
  return { ...visit, functions: visit.functions.toSorted() };
}

function byFile({ file }: Visit, other: Visit): number {
  return file < other.file ? -1 : 1;
}

/** The steps in their order. A helper is listed at the step that calls it first; if a word does, at the step before it. */
export function stepsOf(visits: readonly Visit[]): readonly Step[] {
  const steps: { readonly visit: Visit; readonly helpers: Visit[] }[] = [];
  const files = visits.filter(({ file }) => !isWord(file));
  for (const visit of files) if (visit.calls) steps.push({ visit, helpers: [] });
  let last = steps[0];
  for (const visit of files) {
    const own = steps.find((step) => step.visit === visit);
    const caller = steps.find((step) => step.visit.file === visit.from);
    if (own !== undefined) last = own;
    else (caller ?? last)?.helpers.push(visit);
  }
  return steps;
}

function returnsOf({ returns }: Way): string {
  const texts = [...returns].map(([from, calls]) => {
    const names = new Set(calls.map(({ name }) => `\`${name}\``));
    return `${[...names].join(", ")} by \`${from}\`${calls.length > 1 ? ` (${calls.length} times)` : ""}`;
  });
  return texts.join("; ");
}

/** Returns the files that run after the acknowledgement only. */
function lastly({ before, after }: Way): readonly Visit[] {
  return after.filter(({ file }) => !isWord(file) && !before.some((visit) => visit.file === file));
}

function cell(count: number): string {
  return String(count).padStart(6);
}
