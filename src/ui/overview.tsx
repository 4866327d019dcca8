import type { ComponentChildren } from "preact";
import type { PageOverview } from "../explain/page/page-messages.ts";
import { Chart } from "./chart.tsx";
import { ago, count, counted, duration } from "./format.ts";
import type { Live } from "./live.ts";
import { Problems } from "./problems.tsx";

interface OverviewProperties {
  readonly live: Live;
  /** The time of the node. */
  readonly nowMs: number;
  readonly onProblems: () => void;
}

/** The state of the agent: numbers, problems and charts. */
export function Overview({ live: { overview, points }, nowMs, onProblems }: OverviewProperties) {
  if (overview === undefined) return <p class="waiting">Waiting for the agent …</p>;
  const syncs = points.filter((point) => point.syncs > 0);
  const changes = points.filter((point) => point.changes > 0);
  return (
    <>
      <section class="cards" aria-label="State of the agent">
        <ServicesCard overview={overview} onProblems={onProblems} />
        <ObjectsCard overview={overview} />
        <SyncCard overview={overview} nowMs={nowMs} />
        <DriftCard overview={overview} nowMs={nowMs} />
        <DrainsCard overview={overview} />
        <FailuresCard overview={overview} />
      </section>
      <Problems overview={overview} nowMs={nowMs} />
      <section class="charts" aria-label="Latency in the last hour">
        <Chart
          title="Sync duration"
          nowMs={nowMs}
          empty="No sync in the last hour"
          points={syncs.map(({ atUnixMs, syncMeanMs: mean, syncMaxMs: max, syncs: number }) => ({
            atUnixMs,
            mean,
            max,
            note: counted(number, "sync"),
          }))}
        />
        <Chart
          title="Programming latency"
          nowMs={nowMs}
          empty="No change of endpoints in the last hour"
          points={changes.map(({ atUnixMs, programmingMeanMs: mean, programmingMaxMs: max, changes: number }) => ({
            atUnixMs,
            mean,
            max,
            note: counted(number, "change"),
          }))}
        />
      </section>
    </>
  );
}

interface CardProperties {
  readonly title: string;
  readonly value: string;
  readonly tone?: "error" | "warning" | "ok";
  /** Whether the value itself is good news: the detail has the bad news. */
  readonly isNeutral?: boolean;
  readonly children: ComponentChildren;
}

function Card({ title, value, tone, isNeutral = false, children }: CardProperties) {
  return (
    <div class={`card ${tone ?? ""}`}>
      <h2>{title}</h2>
      <p class={isNeutral ? "value neutral" : "value"}>{value}</p>
      <p class="detail">{children}</p>
    </div>
  );
}

interface OfOverview {
  readonly overview: PageOverview;
}

function ServicesCard({ overview, onProblems }: OfOverview & { readonly onProblems: () => void }) {
  const { total, errors, warnings } = overview.services;
  const tone = errors > 0 ? "error" : warnings > 0 ? "warning" : "ok";
  const text = [errors > 0 ? counted(errors, "error") : "", warnings > 0 ? counted(warnings, "warning") : ""];
  return (
    <Card title="Services" value={count(total)} tone={tone} isNeutral>
      {tone === "ok" ? (
        "nothing is wrong"
      ) : (
        <button type="button" class="link" onClick={onProblems}>
          {text.filter((one) => one !== "").join(", ")}
        </button>
      )}
    </Card>
  );
}

function ObjectsCard({ overview: { report } }: OfOverview) {
  const { desired, actual } = report;
  const isEqual = desired?.virtualServers === actual?.virtualServers && desired?.realServers === actual?.realServers;
  const isKnown = desired !== undefined && actual !== undefined;
  return (
    <Card title="Virtual servers" value={isKnown ? count(actual.virtualServers) : "–"}>
      {isKnown && (
        <>
          {counted(actual.realServers, "real server")}
          {!isEqual && ` (desired: ${count(desired.virtualServers)} with ${count(desired.realServers)})`}
          {report.foreignServers > 0 && `, ${count(report.foreignServers)} of other programs`}
        </>
      )}
    </Card>
  );
}

function SyncCard({ overview: { report }, nowMs }: OfOverview & { readonly nowMs: number }) {
  return (
    <Card title="Last sync" value={ago(report.lastSyncUnixMs, nowMs)} {...(report.isPending && { tone: "warning" })}>
      {report.isPending ? "changes wait for a sync" : "all changes are programmed"}
    </Card>
  );
}

function DriftCard({ overview: { report, drift }, nowMs }: OfOverview & { readonly nowMs: number }) {
  const found = report.drift.reduce((sum, one) => sum + one.count, 0);
  const last = drift[0];
  return (
    <Card title="Drift" value={count(found)} tone={found > 0 ? "warning" : "ok"}>
      last resync {ago(report.lastResyncUnixMs, nowMs)}, {duration(report.resyncMs)}
      {found === 0 && last !== undefined && `; last drift ${ago(last.atUnixMs, nowMs)}`}
    </Card>
  );
}

function DrainsCard({ overview: { drains } }: OfOverview) {
  const { total, endedIdle, endedByTimeout } = drains;
  return (
    <Card title="Draining" value={count(total)}>
      {counted(endedIdle, "drain")} ended, {count(endedByTimeout)} at the time limit
    </Card>
  );
}

function FailuresCard({ overview: { report } }: OfOverview) {
  const { failedObjects, objectProblems, nodeProblems } = report;
  const isFine = failedObjects === 0;
  return (
    <Card title="Failed operations" value={count(failedObjects)} tone={isFine ? "ok" : "error"}>
      {counted(objectProblems, "problem")} of objects, {count(nodeProblems.length)} of the node
    </Card>
  );
}
