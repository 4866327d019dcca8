/** Measures the agent, which loads it by --import; sends a sample to the parent process on request. */
import { Probe } from "./probe.ts";

/** A request of the parent: to send a sample, or to restart the counts of CPU and blocks. */
export type Question = "sample" | "reset";

const probe = new Probe();
probe.start(10);
process.on("message", (question: Question) => {
  if (question === "sample") process.send?.(probe.sample());
  else probe.reset();
});
// The channel to the parent must not keep the process running.
process.channel?.unref();
