/**
 * `npm run bench -- watch`: measures the time and memory for reading a large cluster over TLS and HTTP/2 from an API
 * server in a process of its own. The subjects are the agent's watch layer with its table, and the informers of
 * client-node, each as a bundle in a process of its own with the same flags. It prints a table and writes it, with the
 * figures as JSON, into a folder.
 *
 *   node bench/parts/watch.ts FOLDER [SERVICESxENDPOINTS,... [NODE FLAG...]]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, release, tmpdir } from "node:os";
import { join } from "node:path";
import { NODE_FLAGS } from "../../build.ts";
import { type ClusterSize, serveCluster } from "../api/cluster-process.ts";
import { median, short } from "../report/statistics.ts";
import { bundleLikeAgent, bundleWhole } from "../watch/bundle.ts";
import { measureSubject, type Outcome } from "../watch/measure-subject.ts";
import { writePart } from "./write-part.ts";

const [target = ".", sizes = "10000x15,50000x10", ...flags] = process.argv.slice(2);
const SIZES = sizes.split(",").map(sizeOf);
const ROUNDS = 3;
/** The flags with which the agent is started, unless the command line has others. */
const FLAGS = flags.length > 0 ? flags : NODE_FLAGS;
const SUBJECTS = {
  table: { title: "watch layer and table", bundle: bundleLikeAgent },
  informer: { title: "client-node informers", bundle: bundleWhole },
};
type Subject = keyof typeof SUBJECTS;

interface Result extends ClusterSize {
  readonly subject: Subject;
  readonly rounds: readonly Outcome[];
}

function sizeOf(text: string): ClusterSize {
  const [services = 0, endpoints = 0] = text.split("x").map(Number);
  return { services, endpoints };
}

async function measure(subject: Subject, file: string, size: ClusterSize): Promise<Outcome> {
  await using server = await serveCluster(size);
  const outcome = await measureSubject(file, FLAGS, server.url);
  const { services, endpoints } = outcome.counts;
  if (services !== size.services || endpoints !== size.services * size.endpoints) {
    throw new Error(`${subject} has ${services} Services and ${endpoints} endpoints`);
  }
  return outcome;
}

const HEAD = [
  "Services / endpoints",
  "subject",
  "connect to complete",
  "CPU to complete",
  "CPU of loading",
  "longest block",
  "CPU in that block",
  "peak RSS",
  "settled RSS",
  "heap",
  "RSS when loaded",
];

function row({ services, endpoints, subject, rounds }: Result): readonly string[] {
  const of = (pick: (outcome: Outcome) => number) => short(median(rounds.map(pick)));
  return [
    `${services} / ${services * endpoints}`,
    SUBJECTS[subject].title,
    `${of(({ completeMs }) => completeMs)} ms`,
    `${of(({ complete }) => complete.cpuMs)} ms`,
    `${of(({ before }) => before.cpuMs)} ms`,
    `${of(({ complete }) => complete.longestBlockMs)} ms`,
    `${of(({ complete }) => complete.longestBlockCpuMs)} ms`,
    `${of(({ settled }) => settled.peakRssMiB)} MiB`,
    `${of(({ settled }) => settled.rssMiB)} MiB`,
    `${of(({ settled }) => settled.heapMiB)} MiB`,
    `${of(({ before }) => before.rssMiB)} MiB`,
  ];
}

const folder = mkdtempSync(join(tmpdir(), "kube-ipvs-bench-"));
try {
  const results: Result[] = [];
  for (const size of SIZES) {
    for (const subject of ["table", "informer"] as const) {
      process.stderr.write(
        `measuring ${SUBJECTS[subject].title} with ${size.services} Services x ${size.endpoints} endpoints\n`,
      );
      const file = await SUBJECTS[subject].bundle(join(import.meta.dirname, `../watch/${subject}-subject.ts`), folder);
      const rounds: Outcome[] = [];
      for (let round = 0; round < ROUNDS; round++) rounds.push(await measure(subject, file, size));
      results.push({ ...size, subject, rounds });
    }
  }
  const machine = {
    date: new Date().toISOString().slice(0, 10),
    kernel: release(),
    cpu: cpus()[0]?.model ?? "unknown",
    cpus: cpus().length,
    node: process.version,
    flags: FLAGS,
  };
  const head = `Measured ${machine.date} by \`npm run bench -- watch\`, medians of ${ROUNDS}, on ${machine.cpus} CPUs of Linux ${machine.kernel}, Node ${machine.node} with ${FLAGS.join(" ")}.`;
  writePart(target, "watch", { text: head, rows: [HEAD, ...results.map(row)], figures: { machine, results } });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
