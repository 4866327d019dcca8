import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PARTS } from "../cli/arguments.ts";
import { type Figure, figureText } from "./figure.ts";
import { plotsOf } from "./plots.ts";
import { PAGE_FILE, writeReport } from "./report.ts";
import { type Results, readResults } from "./results.ts";
import { parseSize, sizeTitle } from "./size.ts";
import { factsText, noiseText, tableOf, withRatios } from "./tables.ts";
import { targetText } from "./targets.ts";

const ROOT = join(import.meta.dirname, "../..");
const BEGIN = "<!-- results of npm run bench -->";
const END = "<!-- end of the results -->";

interface Place {
  readonly file: string;
  /** From the file to bench/results. */
  readonly folder: string;
}

const PLACES: readonly Place[] = [
  { file: "README.md", folder: "bench/results" },
  { file: "bench/README.md", folder: "results" },
];
/** Plots of the README; all are on the page. */
const SHOWN = ["cold-start.svg", "one-change.svg"];

/** The figures at the top, by name of the column: those of a whole agent, and the headline ratio. */
const HEADLINES: readonly (readonly [title: string, scenario: string, metric: string])[] = [
  ["cold start", "cold start", "all programmed"],
  ["to the same bytes", "ratios", "cold start to the same bytes"],
  ["one change p50", "one endpoint changes", "API to kernel, p50"],
  ["p99", "one endpoint changes", "API to kernel, p99"],
  ["idle CPU", "idle", "CPU, share of a core"],
  ["RSS", "idle", "RSS"],
];

/**
 * Makes the results of a run the published ones: bench/results/ and the marked parts of the READMEs. Throws if the machine was
 * noisy or the run is not complete, unless that is accepted. Returns a text for people.
 */
export function publish(folder: string, acceptsNoise: boolean, root = ROOT): string {
  const target = join(root, "bench/results");
  mkdirSync(target, { recursive: true });
  const part = PARTS.find((name) => existsSync(join(folder, `${name}.md`)));
  if (part !== undefined) {
    for (const kind of ["md", "json"]) copyFileSync(join(folder, `${part}.${kind}`), join(target, `${part}.${kind}`));
    return `published: bench/results/${part}.md\n`;
  }
  const results = readResults(folder);
  if (!acceptsNoise && (results.noise.length > 0 || !results.isComplete)) {
    const reasons = [...results.noise, ...(results.isComplete ? [] : ["the run is not complete"])];
    throw new Error(`not published: ${reasons.join("; ")}; accept it with --noisy`);
  }
  const { list, files } = plotsOf(withRatios(results));
  for (const name of readdirSync(target)) if (name.endsWith(".svg") && !files.has(name)) rmSync(join(target, name));
  // Written anew, so that a page of an older version gets today's form.
  writeReport(target, results);
  for (const place of PLACES) {
    const path = join(root, place.file);
    writeFileSync(
      path,
      withSection(
        readFileSync(path, "utf8"),
        sectionOf(
          results,
          list.map(([file]) => file),
          place,
        ),
      ),
    );
  }
  return `published: bench/results/${PAGE_FILE}, README.md, bench/README.md\n`;
}

/** Replaces the text between the marks. */
export function withSection(text: string, section: string): string {
  const [before, rest] = text.split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new Error(`the marks "${BEGIN}" and "${END}" are missing`);
  return `${before}${BEGIN}\n\n${section}\n\n${END}${after}`;
}

/** The headline table with two plots. */
export function sectionOf(results: Results, plots: readonly string[], { folder }: Place): string {
  const figures = withRatios(results).filter(({ subject }) => subject === "kube-ipvs");
  const sizes = [...new Set(figures.map(({ size }) => size))];
  const find = (size: string, scenario: string, metric: string) =>
    figures.find((figure) => figure.size === size && figure.scenario === scenario && figure.metric === metric);
  const rows = sizes.map((size) => {
    const parsed = parseSize(size);
    const title = parsed === undefined ? size : sizeTitle(parsed);
    return [
      title,
      ...HEADLINES.map(([, scenario, metric]) => headline(find(size, scenario, metric), results.noise.length > 0)),
    ];
  });
  const table = tableOf([["size", ...HEADLINES.map(([title]) => title)], ...rows]);
  const pictures = SHOWN.filter((file) => plots.includes(file)).map(
    (file) => `![${file.replace(".svg", "")}](${folder}/${file})`,
  );
  return [
    `${noiseText(results)}${table}`,
    ...(pictures.length === 0 ? [] : [pictures.join(" ")]),
    `${factsText({ ...results, options: { ...results.options, command: "npm run bench" } })} [All figures](${folder}/${PAGE_FILE}), with spread, floors and other programs.`,
  ].join("\n\n");
}

function headline(figure: Figure | undefined, isNoisy: boolean): string {
  if (figure === undefined) return "";
  const target = targetText(figure, isNoisy);
  return `${figureText(figure).replace(/ \(.*$/, "")}${target === undefined ? "" : ` (${target})`}`;
}
