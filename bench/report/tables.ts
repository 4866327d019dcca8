import { type Figure, figureText } from "./figure.ts";
import { ratiosOf } from "./ratios.ts";
import { RECORDED, type Recorded } from "./recorded.ts";
import type { Results } from "./results.ts";
import { compareSizes, parseSize, sizeTitle } from "./size.ts";
import { targetText } from "./targets.ts";

/** The plots of a run: the file, and what it shows. */
export type PlotList = readonly (readonly [file: string, title: string])[];

/** Scenarios in the order of the page; what each is, for the reader. */
const SCENARIO_TEXTS: readonly (readonly [scenario: string, text: string])[] = [
  ["ratios", "Ratios to the floors and to keepalived. Less is better."],
  [
    "cold start",
    "The whole program starts before an empty kernel, with the API server of the benchmark on the same CPU.",
  ],
  ["sync", "From objects in memory to the last acknowledgement, in one process without an API server; and the floors."],
  ["one endpoint changes", "From the change in the API server to the kernel, resyncs included."],
  ["Service added and deleted", "From the API server to the kernel, the endpoints included."],
  ["rolling update of 100 endpoints", "Ten endpoints at a time."],
  ["churn", "One percent of all endpoints is replaced each second."],
  ["node drain", "All endpoints of a node leave."],
  ["idle", "No changes; periodic resyncs go on."],
  ["warm restart", "The program starts before a kernel that has the cluster except for three changes."],
  ["takeover", "The same, but ipvsadm, ipset and ip have written the cluster."],
  ["kernel in memory", "As sync, with the kernel of the tests, in this machine itself."],
];

export function tableOf(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  return [head, head.map(() => "---"), ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** All figures of a run, with the ratios, by size. */
export function withRatios({ figures }: Results): readonly Figure[] {
  return [...figures, ...ratiosOf(figures)].toSorted((a, b) => compareSizes(a.size, b.size));
}

/** The line about machine, versions and date that stands at every published table. */
export function factsText({ machine, guests, options }: Results): string {
  const [guest = {}] = guests;
  const facts = { ...guest, ...machine };
  const { date, ...others } = facts;
  const list = Object.entries(others).map(([name, value]) => `${name} ${value}`);
  return `Measured ${date} by \`${options.command}\`: ${list.join(", ")}.`;
}

/** A loud mark if the figures are not reliable; "" otherwise. */
export function noiseText({ noise, isComplete }: Results): string {
  const lines = [
    ...(noise.length === 0 ? [] : [`**NOISY MACHINE: these figures are not reliable.** ${noise.join("; ")}.`]),
    ...(isComplete ? [] : ["**INCOMPLETE: this run was not finished.**"]),
  ];
  return lines.map((line) => `${line}\n\n`).join("");
}

/** The page of a run. */
export function pageOf(results: Results, plots: PlotList): string {
  const figures = withRatios(results);
  const sections = SCENARIO_TEXTS.flatMap(([scenario, text]) => {
    const own = figures.filter((figure) => figure.scenario === scenario);
    return own.length === 0
      ? []
      : [
          `## ${scenario[0]?.toUpperCase()}${scenario.slice(1)}\n\n${text}\n\n${scenarioTable(own, results.noise.length > 0)}\n`,
        ];
  });
  const failed = results.failures.map(({ size, subject, scenario, reason }) => [size, subject, scenario, cell(reason)]);
  return [
    `# Results of the benchmarks\n\n${noiseText(results)}${factsText(results)}\n\nEach cell is the value, in brackets its spread and the number of samples (n): the least and the largest of the rounds, or of the same percentile in five consecutive parts of the samples. Samples of the warm-up do not count.\n`,
    ...plots.map(([file, title]) => `![${title}](${file})\n`),
    ...sections,
    ...(failed.length === 0
      ? []
      : [`## Not measured\n\n${tableOf([["size", "program", "scenario", "reason"], ...failed])}\n`]),
  ].join("\n");
}

/** One row for each program and size, one column for each metric; recorded figures of the scenario have rows of their own. */
export function scenarioTable(figures: readonly Figure[], isNoisy: boolean): string {
  const recorded = RECORDED.filter(({ scenario }) => scenario === figures[0]?.scenario);
  const all = [...figures, ...recorded].toSorted((a, b) => compareSizes(a.size, b.size));
  const metrics = [...new Set(all.map(({ metric }) => metric))];
  const rows = [...Map.groupBy(all, ({ subject, size }) => `${size}\n${subject}`).values()].map((group) => {
    const [first] = group;
    const size = parseSize(first?.size ?? "");
    const notes = [...new Set(group.flatMap(({ note }) => note ?? []))].join("; ");
    const cells = metrics.map((metric) =>
      textOf(
        group.find((figure) => figure.metric === metric),
        isNoisy,
      ),
    );
    return [size === undefined ? "" : sizeTitle(size), first?.subject ?? "", ...cells, notes];
  });
  const hasNotes = rows.some((row) => row.at(-1) !== "");
  const head = ["size", "program", ...metrics, "notes"];
  return tableOf([head, ...rows].map((row) => (hasNotes ? row : row.slice(0, -1))).map((row) => row.map(cell)));
}

function textOf(figure: Figure | Recorded | undefined, isNoisy: boolean): string {
  if (figure === undefined) return "";
  return "text" in figure ? figure.text : figureCell(figure, isNoisy);
}

function figureCell(figure: Figure, isNoisy: boolean): string {
  const target = targetText(figure, isNoisy);
  return `${figureText(figure)}${target === undefined ? "" : `, ${target}`}`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
