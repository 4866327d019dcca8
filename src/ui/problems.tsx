import type { PageDrain, PageOverview } from "../explain/page/page-messages.ts";
import type { DriftCount } from "../sync/sync-report.ts";
import { ago, count, counted, span } from "./format.ts";

interface ProblemsProperties {
  readonly overview: PageOverview;
  /** The time of the node. */
  readonly nowMs: number;
}

/** What is wrong with the agent or the node, with reasons; nothing if nothing is. */
export function Problems({ overview, nowMs }: ProblemsProperties) {
  const { report, drift, drains } = overview;
  const more = report.failedObjects - report.failures.length;
  const isWrong = !report.ready || report.failures.length + report.nodeProblems.length > 0;
  return (
    <>
      {isWrong && (
        <section class="panel" aria-labelledby="problems">
          <h2 id="problems">Problems of this node</h2>
          <ul class="findings">
            {!report.ready && <Problem severity="error" label="not ready" text={report.reason} />}
            {report.failures.map((text) => (
              <Problem key={text} severity="error" label="failed" text={text} />
            ))}
            {more > 0 && <Problem severity="error" label="failed" text={`${count(more)} more operations`} />}
            {report.nodeProblems.map((text) => (
              <Problem key={text} severity="warning" label="node" text={text} />
            ))}
          </ul>
        </section>
      )}
      {(drift.length > 0 || drains.total > 0) && (
        <section class="columns" aria-label="Drift and drains">
          {drift.length > 0 && (
            <div class="panel">
              <h2>Changes by other programs</h2>
              <ul class="plain">
                {drift.slice(0, 8).map(({ atUnixMs, drift: counts }) => (
                  <li key={atUnixMs}>
                    <span class="when">{ago(atUnixMs, nowMs)}</span> {counts.map(driftText).join(", ")}
                  </li>
                ))}
              </ul>
            </div>
          )}
          {drains.total > 0 && <Drains total={drains.total} listed={drains.listed} nowMs={nowMs} />}
        </section>
      )}
    </>
  );
}

const OBJECTS: Readonly<Record<DriftCount["object"], string>> = {
  "virtual-server": "virtual server",
  "real-server": "real server",
  address: "VIP",
  entry: "set member",
};

function driftText({ object, kind, count: number }: DriftCount): string {
  return `${kind}: ${counted(number, OBJECTS[object])}`;
}

interface ProblemProperties {
  readonly severity: "error" | "warning";
  readonly label: string;
  readonly text: string;
}

function Problem({ severity, label, text }: ProblemProperties) {
  return (
    <li class={severity}>
      <span class={`badge ${severity}`}>{label}</span>
      <span class="text">{text}</span>
    </li>
  );
}

interface DrainsProperties {
  readonly total: number;
  readonly listed: readonly PageDrain[];
  readonly nowMs: number;
}

const SHOWN = 8;

function Drains({ total, listed, nowMs }: DrainsProperties) {
  return (
    <div class="panel">
      <h2>Draining real servers</h2>
      <ul class="plain">
        {listed.slice(0, SHOWN).map(({ virtualServer, realServer, sinceUnixMs, connections }) => (
          <li key={`${virtualServer} ${realServer}`}>
            <span class="when">{span(nowMs - sinceUnixMs)}</span> <code>{realServer}</code> of{" "}
            <code>{virtualServer}</code>
            {connections !== undefined && `: ${count(connections)} connections`}
          </li>
        ))}
        {total > SHOWN && <li>and {count(total - Math.min(SHOWN, listed.length))} more</li>}
      </ul>
    </div>
  );
}
