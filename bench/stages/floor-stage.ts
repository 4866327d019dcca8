/**
 * Measures the floors in the network namespace of this process, which is empty: `node bench/stages/floor-stage.ts SIZE KIND FOLDER`.
 * KIND is bytes: the recorded datagrams are sent again by `replay.pl`, which only sends and waits for acknowledgements; or tools:
 * the same objects are written by ipvsadm, ipset and ip. The files of FOLDER are those of `sync-stage.ts`. Prints events.
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { changeCountOf } from "../floors/change-count.ts";
import { RESTORERS } from "../floors/restore.ts";
import { parseSize, SIZE_FORM, type Size } from "../report/size.ts";
import { type Samples, sendSamples } from "../scenarios/stage.ts";

const [sizeWord = "", kind = "", folder = "."] = process.argv.slice(2);
const size = parseSize(sizeWord);
if (size === undefined) throw new Error(`the size must be ${SIZE_FORM}`);

interface Replayed {
  readonly ms: number;
  readonly errors: number;
  readonly micros: readonly number[];
  readonly records: number;
}

/** Sums of `count` parts of the values, of equal size: the datagrams of one change each. */
function grouped(values: readonly number[], count: number): readonly number[] {
  const each = values.length / count;
  if (!Number.isInteger(each)) throw new Error(`changes need different numbers of datagrams: ${each} on average`);
  return Array.from({ length: count }, (_, index) =>
    values.slice(index * each, (index + 1) * each).reduce((sum, value) => sum + value, 0),
  );
}

function bytes(of: Size): readonly Samples[] {
  const files = ["setup.bin", "cold.bin", "warm-up.bin", "change.bin"].map((name) => join(folder, name));
  const program = join(import.meta.dirname, "../floors/replay.pl");
  const text = execFileSync("perl", [program, ...files], { encoding: "utf8", maxBuffer: 1 << 28 });
  const [, cold, , change] = text
    .trimEnd()
    .split("\n")
    .map((line): Replayed => JSON.parse(line));
  if (cold === undefined || change === undefined) throw new Error("replay.pl printed no result for one of the files");
  const errors = cold.errors + change.errors;
  if (errors > 0) throw new Error(`the kernel refused ${errors} of the recorded objects`);
  return [
    { metric: "cold start", unit: "ms", samples: [cold.ms] },
    {
      metric: "one change",
      unit: "ms",
      samples: grouped(change.micros, changeCountOf(of).count).map((micros) => micros / 1000),
      as: "percentiles",
    },
  ];
}

function tools(): readonly Samples[] {
  execFileSync("ip", ["link", "add", "kube-ipvs0", "type", "dummy"]);
  const each = RESTORERS.map(({ name, argv, file }): Samples => {
    const input = file === undefined ? undefined : openSync(join(folder, file), "r");
    const [program, ...words] = argv;
    const startMs = performance.now();
    execFileSync(program, words, { cwd: folder, stdio: [input ?? "ignore", "ignore", "inherit"] });
    const ms = performance.now() - startMs;
    if (input !== undefined) closeSync(input);
    return { metric: name, unit: "ms", samples: [ms] };
  });
  const total = each.reduce((sum, { samples }) => sum + (samples[0] ?? 0), 0);
  return [
    { metric: "cold start", unit: "ms", samples: [total], note: "the three programs one after the other" },
    ...each,
  ];
}

const isBytes = kind === "bytes";
const subject = { name: isBytes ? "floor: the same bytes" : "floor: ipvsadm, ipset, ip" };
sendSamples({ size, subject }, "sync", ...(isBytes ? bytes(size) : tools()));
