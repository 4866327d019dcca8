import { useEffect, useRef, useState } from "preact/hooks";
import type { PageView } from "../explain/page/page-messages.ts";
import { count, span } from "./format.ts";
import type { Connection, Live } from "./live.ts";
import { Overview } from "./overview.tsx";
import { hashOf } from "./route.ts";
import { ServiceDetails } from "./service-details.tsx";
import { ServiceList } from "./service-list.tsx";
import { useLive } from "./use-live.ts";
import { useRoute } from "./use-route.ts";

const CONNECTIONS: Readonly<Record<Connection, string>> = {
  connecting: "connecting",
  live: "live",
  lost: "connection lost, trying again",
  refused: "refused by the agent, trying again in 10 s",
};

/** The time of the node, each second. */
function useNow(skewMs: number): number {
  const [nowMs, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return nowMs - skewMs;
}

/** The whole page: the list of Services with the state of the agent, or one Service. */
export function Page() {
  const [view, change] = useRoute();
  const live = useLive(view);
  const nowMs = useNow(live.skewMs);
  const back = hashOf({ ...view, service: "" });
  const main = useRef<HTMLElement>(null);
  const wasOpen = useRef(view.service);
  useEffect(() => {
    document.title = view.service === "" ? titleOf(live) : `${view.service} – kube-ipvs`;
  });
  useEffect(() => {
    if (wasOpen.current !== view.service) {
      main.current?.focus();
      scrollTo(0, 0);
    }
    wasOpen.current = view.service;
    const onKey = ({ key, target }: KeyboardEvent) => {
      if (key === "Escape" && view.service !== "" && !(target instanceof HTMLInputElement)) location.hash = back;
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [view.service, back]);
  return (
    <>
      <Header live={live} onSkip={() => main.current?.focus()} />
      <main ref={main} tabIndex={-1}>
        {view.service === "" ? (
          <>
            <Overview live={live} nowMs={nowMs} onProblems={() => showProblems(change)} />
            <ServiceList page={live.services} view={view} onChange={change} />
          </>
        ) : (
          <ServiceDetails name={view.service} detail={live.service} back={back} />
        )}
      </main>
      <footer>
        Read only. Keys: <kbd>/</kbd> search, <kbd>↑</kbd> <kbd>↓</kbd> choose, <kbd>Enter</kbd> open, <kbd>Esc</kbd>{" "}
        back. The same as text: <code>kube-ipvs status</code>, <code>kube-ipvs explain NAMESPACE/SERVICE</code>.
      </footer>
    </>
  );
}

function showProblems(change: (part: Partial<PageView>) => void): void {
  change({ onlyProblems: true, offset: 0 });
  document.getElementById("services")?.scrollIntoView();
}

function titleOf({ overview }: Live): string {
  if (overview === undefined) return "kube-ipvs";
  const { errors } = overview.services;
  return `${errors > 0 ? `(${errors}) ` : ""}${overview.report.node} – kube-ipvs`;
}

interface HeaderProperties {
  readonly live: Live;
  readonly onSkip: () => void;
}

function Header({ live: { overview, connection }, onSkip }: HeaderProperties) {
  const report = overview?.report;
  return (
    <header>
      <button type="button" class="skip" onClick={onSkip}>
        Skip to the content
      </button>
      <div class="brand">
        <img src={iconAddress()} alt="" width="28" height="28" />
        <h1>
          kube-ipvs <span class="node">{report?.node ?? ""}</span>
        </h1>
        {report && <span class={`badge ${report.ready ? "ok" : "error"}`}>{report.ready ? "ready" : "not ready"}</span>}
      </div>
      <p class="facts">
        {report && (
          <span>
            version {report.version}, up {span(report.uptimeSeconds * 1_000)}
            {overview && `, ${count(overview.services.total)} Services`}
          </span>
        )}
        <span class={`connection ${connection}`} role="status">
          {CONNECTIONS[connection]}
        </span>
      </p>
    </header>
  );
}

function iconAddress(): string {
  return document.querySelector<HTMLLinkElement>("link[rel=icon]")?.href ?? "";
}
