import { KernelError } from "../model/kernel/kernel-error.ts";
import type { RulesReport, SetupObject, SetupReport, StepReport } from "./kernel.ts";

/** Returns the report of a step that changes objects of one kind. */
export function changesOf(object: SetupObject, { changed, ...rest }: StepReport): SetupReport {
  return { ...rest, changed: changed.map((text) => ({ object, text })) };
}

/** Returns the changes of rules. The failures become warnings. */
export function rulesStep({ changed, failures }: RulesReport): SetupReport {
  return changesOf("rules", { changed, warnings: failures.map(({ message }) => message) });
}

/** Turns a KernelError into a warning: the rest is still read and programmed, and that read rejects if the kernel fails. */
export async function withoutKernelError(part: () => Promise<SetupReport>): Promise<SetupReport> {
  try {
    return await part();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return { changed: [], warnings: [error.message] };
  }
}

/** Returns all changes and warnings of the reports. */
export function merge(reports: readonly SetupReport[]): SetupReport {
  const wrongSysctls = reports.flatMap((report) => report.wrongSysctls ?? []);
  return {
    changed: reports.flatMap(({ changed }) => changed),
    warnings: reports.flatMap(({ warnings }) => warnings),
    ...(wrongSysctls.length > 0 && { wrongSysctls }),
  };
}
