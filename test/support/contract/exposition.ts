/** A sample of the text format of Prometheus. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: string;
}

/** The metrics of a scrape, read without prom-client. */
export class Exposition {
  readonly #types = new Map<string, string>();
  readonly #samples: Sample[] = [];

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const [, named = "", type = ""] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
      if (named !== "") this.#types.set(named, type);
      const sample = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (sample !== null) this.#samples.push(sampleOf(sample));
    }
  }

  type(name: string): string | undefined {
    return this.#types.get(name);
  }

  /** The samples of a metric; of a histogram all three kinds. */
  samples(name: string): readonly Sample[] {
    const names = this.type(name) === "histogram" ? ["bucket", "sum", "count"].map((end) => `${name}_${end}`) : [name];
    return this.#samples.filter((sample) => names.includes(sample.name));
  }

  /** The names of the labels of a metric, sorted, without that of buckets. */
  labels(name: string): readonly string[] {
    const names = this.samples(name).flatMap(({ labels }) => Object.keys(labels));
    return [...new Set(names)].filter((label) => label !== "le").toSorted();
  }

  /** The upper bounds of the buckets of a histogram, without +Inf. */
  buckets(name: string): readonly number[] {
    const bounds = this.samples(name).flatMap(({ labels: { le } }) => le ?? []);
    return [...new Set(bounds)].filter((bound) => bound !== "+Inf").map(Number);
  }
}

function sampleOf([, name = "", labels = "", value = ""]: RegExpExecArray): Sample {
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = "", text = ""]) => [label, text]);
  return { name, labels: Object.fromEntries(pairs), value };
}
