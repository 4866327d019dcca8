/** Loaded into the agent by --import: tells its parent what it has cost whenever it is asked. */
import { Probe } from "./probe.ts";

/** What the parent may ask: to be told, or to count CPU and blocks anew from here. */
export type Question = "sample" | "reset";

const probe = new Probe();
probe.start(10);
process.on("message", (question: Question) => {
  if (question === "sample") process.send?.(probe.sample());
  else probe.reset();
});
// Being asked is no reason to live on.
process.channel?.unref();
