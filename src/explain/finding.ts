/** "error": traffic fails now. "warning": traffic may fail, or a part of it does. "info": good to know. */
export type Severity = "error" | "warning" | "info";

/** One thing that is wrong or noteworthy, as text for an operator. */
export interface Finding {
  readonly severity: Severity;
  /** What is wrong: the object and its state. */
  readonly what: string;
  /** What clients see of it; "" if `what` says it. */
  readonly effect: string;
  /** What to do; "" if nothing need be done. */
  readonly cure: string;
}

const ORDER: readonly Severity[] = ["error", "warning", "info"];

/** The findings with the most severe first; equal ones keep their order. */
export function bySeverity<One extends Finding>(findings: readonly One[]): readonly One[] {
  return findings.toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
}

/** A finding as one line of text: "error: what: effect. cure". */
export function findingLine({ severity, what, effect, cure }: Finding): string {
  const sentence = effect === "" ? what : `${what}: ${effect}`;
  return `${severity}: ${sentence}${cure === "" ? "" : `. ${cure}`}`;
}
