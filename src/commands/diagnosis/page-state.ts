import type { AgentView } from "../../agent-view.ts";
import { parseServiceTarget } from "../../config/settings/targets.ts";
import type { Finding } from "../../explain/finding.ts";
import { boundedExplanation } from "../../explain/page/bounded-explanation.ts";
import type { History } from "../../explain/page/history.ts";
import type {
  PageDrains,
  PageMessages,
  PageOverview,
  PageView,
  ServiceDetail,
  ServicePage,
  ServiceRow,
} from "../../explain/page/page-messages.ts";
import { type IndexedService, ServiceIndex } from "../../explain/page/service-index.ts";
import { explainService, type ServiceSummary, summarizeService } from "../../explain/service/explain-service.ts";
import { frontendText, KINDS } from "../../explain/service/explained-frontends.ts";
import type { ServiceView } from "../../explain/service/service-view.ts";
import type { ConnectionCounts } from "../../kernel/kernel.ts";
import type { NetlinkKernel } from "../../kernel/netlink-kernel.ts";
import type { ServiceName } from "../../model/cluster/service.ts";
import { explanation as errorText } from "../../model/explanation.ts";
import type { RealServerKey, VirtualServerKey } from "../../model/kernel/ipvs.ts";
import { type Clock, dateOf } from "../../model/time/clock.ts";
import type { PageSource } from "../../serve/page/page-routes.ts";

/** The agent, as far as the page reads it. */
export type ReadAgent = Pick<AgentView, "report" | "service" | "serviceNames" | "kernel" | "drains">;

export interface PageDependencies {
  readonly agent: ReadAgent;
  readonly kernel: Pick<NetlinkKernel, "traffic" | "connections">;
  readonly history: Pick<History, "points" | "drift">;
  readonly clock: Clock;
  /** Resolves after the event loop had a turn. */
  readonly nextTurn: () => Promise<void>;
}

/** How long one turn of the event loop may compute. */
const TURN_MS = 4;
/** The age at which the index is made again, at least, and in durations of making it. */
const INDEX_MS = 5_000;
const INDEX_PACE = 20;
/** Larger Services are summarized without their endpoints: the product of endpoints and frontends is read each time. */
const MOST_REALS = 5_000;
/** The endpoints and real servers of one Service that are sent. */
const SENT_ROWS = 500;
const SENT_FRONTENDS = 3;
const SENT_DRAINS = 50;
/** The virtual servers whose connections are read for one page of the list. */
const COUNTED_SERVERS = 200;

type Connections = ReadonlyMap<VirtualServerKey, ReadonlyMap<RealServerKey, ConnectionCounts>>;
const NO_CONNECTIONS: Connections = new Map();

/**
 * Reads what the status page shows. Each read is bounded in what it computes, asks of the kernel and returns, and gives
 * other work a turn every few milliseconds. One read at a time.
 */
export class PageState implements PageSource {
  readonly #dependencies: PageDependencies;
  #index = new ServiceIndex([]);
  #indexUntilMs = 0;

  constructor(dependencies: PageDependencies) {
    this.#dependencies = dependencies;
  }

  async read(view: PageView, isFirst: boolean): Promise<PageMessages> {
    await this.#refreshIndex();
    const { history } = this.#dependencies;
    return {
      overview: await this.#overview(),
      history: { isWhole: isFirst, points: isFirst ? history.points() : history.points(2) },
      ...(view.service === ""
        ? { services: await this.#services(view) }
        : { service: await this.#service(view.service) }),
    };
  }

  release(): void {
    this.#index = new ServiceIndex([]);
    this.#indexUntilMs = 0;
  }

  async #refreshIndex(): Promise<void> {
    const { agent, clock, nextTurn } = this.#dependencies;
    const startedAtMs = clock.now();
    if (startedAtMs < this.#indexUntilMs) return;
    const services: IndexedService[] = [];
    await this.#inTurns(agent.serviceNames(), (name) => {
      services.push(indexed(name, summaryOf(agent.service(name))));
    });
    await nextTurn();
    this.#index = new ServiceIndex(services);
    const endedAtMs = clock.now();
    this.#indexUntilMs = endedAtMs + Math.max(INDEX_MS, INDEX_PACE * (endedAtMs - startedAtMs));
  }

  async #inTurns<Item>(items: Iterable<Item>, run: (item: Item) => void): Promise<void> {
    const { clock, nextTurn } = this.#dependencies;
    let turnEndMs = clock.now() + TURN_MS;
    for (const item of items) {
      run(item);
      if (clock.now() < turnEndMs) continue;
      await nextTurn();
      turnEndMs = clock.now() + TURN_MS;
    }
  }

  async #overview(): Promise<PageOverview> {
    const { agent, clock, history } = this.#dependencies;
    return {
      atUnixMs: clock.date().getTime(),
      report: agent.report(),
      services: this.#index.counts,
      drains: await this.#drains(),
      drift: history.drift(),
    };
  }

  async #drains(): Promise<PageDrains> {
    const { agent, clock } = this.#dependencies;
    const { total, ends, listed } = agent.drains(SENT_DRAINS);
    const connections = await this.#connections(new Set(listed.map(({ server }) => server)));
    return {
      total,
      endedIdle: ends.idle,
      endedByTimeout: ends.timeout,
      listed: listed.map(({ server, real, sinceMs }) => {
        const counts = connections.get(server)?.get(real);
        const sinceUnixMs = dateOf(sinceMs, clock).getTime();
        return {
          virtualServer: server,
          realServer: real,
          // Seconds, so that the text of a message stays the same while nothing changes.
          sinceUnixMs: Math.round(sinceUnixMs / 1000) * 1000,
          ...(counts && { connections: counts.active + counts.inactive }),
        };
      }),
    };
  }

  async #services(view: PageView): Promise<ServicePage> {
    const { agent } = this.#dependencies;
    const { total, names } = this.#index.find(view);
    const found: { readonly name: ServiceName; readonly summary: ServiceSummary }[] = [];
    await this.#inTurns(names, (name) => {
      found.push({ name, summary: summaryOf(agent.service(name)) });
    });
    const counted = new Set<VirtualServerKey>();
    for (const { summary } of found) if (isCounted(summary, counted.size)) addKeys(counted, summary);
    const connections = await this.#connections(counted);
    const { search, onlyProblems, offset } = view;
    const rows = found.map(({ name, summary }) => rowOf(name, summary, connections));
    return { view: { search, onlyProblems, offset }, total, rows };
  }

  async #service(text: string): Promise<ServiceDetail> {
    const target = parseServiceTarget(text, () => undefined);
    const none = { service: text, findings: [], unlisted: 0 };
    if (target === undefined) return { ...none, note: "The name must be NAMESPACE/SERVICE" };
    const { agent, kernel } = this.#dependencies;
    const view = agent.service(target.name);
    const summary = summaryOf(view);
    const { findings } = summary;
    if (isLarge(summary)) {
      const note = `This Service has ${summary.endpoints} endpoints at ${summary.frontends.length} frontends, too many to be read here. Run: kube-ipvs explain ${target.name}`;
      return { ...none, findings, note };
    }
    try {
      const servers = await kernel.traffic(new Set(summary.frontends.map(({ key }) => key)));
      const { explanation, unlisted } = boundedExplanation(
        explainService(view, { ...agent.kernel(), servers }, undefined),
        SENT_ROWS,
      );
      return { service: text, findings: explanation.findings, explanation, unlisted, note: "" };
    } catch (error) {
      return { ...none, findings, note: `The kernel could not be read: ${errorText(error)}` };
    }
  }

  /** The live connections; none if the kernel cannot be read, which the report says. */
  async #connections(keys: ReadonlySet<VirtualServerKey>): Promise<Connections> {
    if (keys.size === 0) return NO_CONNECTIONS;
    return await this.#dependencies.kernel.connections(keys).catch(() => NO_CONNECTIONS);
  }
}

function summaryOf(view: ServiceView): ServiceSummary {
  const ports = view.service?.ports ?? [];
  const endpoints = ports.reduce((sum, { key }) => sum + view.endpoints.listed(key), 0);
  if (endpoints <= MOST_REALS) return summarizeService(view);
  return { findings: [tooLarge(view)], frontends: [], endpoints, usedEndpoints: 0 };
}

function tooLarge({ name }: ServiceView): Finding {
  const what = "this Service has too many endpoints to be examined on the status page";
  return { severity: "info", what, effect: "", cure: `Run: kube-ipvs explain ${name}` };
}

function isLarge({ endpoints, frontends }: ServiceSummary): boolean {
  const reals = frontends.reduce((sum, { desired }) => sum + (desired?.reals.size ?? 0), 0);
  return Math.max(endpoints, reals) > MOST_REALS;
}

function isCounted(summary: ServiceSummary, counted: number): boolean {
  return counted + summary.frontends.length <= COUNTED_SERVERS && !isLarge(summary);
}

function addKeys(keys: Set<VirtualServerKey>, { frontends }: ServiceSummary): void {
  for (const { key } of frontends) keys.add(key);
}

function indexed(name: ServiceName, { findings, frontends }: ServiceSummary): IndexedService {
  const severity = findings[0]?.severity ?? "ok";
  const addresses = frontends.map(({ frontend }) => frontendText(frontend)).join(" ");
  return { name, severity, text: `${name} ${addresses}`.toLowerCase() };
}

function rowOf(name: ServiceName, summary: ServiceSummary, counted: Connections): ServiceRow {
  const { findings, frontends, endpoints, usedEndpoints } = summary;
  const texts = frontends
    .slice(0, SENT_FRONTENDS)
    .map(({ frontend }) => `${KINDS[frontend.kind]} ${frontendText(frontend)}`);
  const connections = sumOf(summary, counted);
  return {
    service: name,
    frontends: texts,
    moreFrontends: frontends.length - texts.length,
    endpoints,
    usedEndpoints,
    ...(connections !== undefined && { connections }),
    severity: findings[0]?.severity ?? "ok",
    cause: findings[0]?.what ?? "",
  };
}

function sumOf({ frontends }: ServiceSummary, counted: Connections): number | undefined {
  let sum: number | undefined;
  for (const { key } of frontends) for (const { active } of counted.get(key)?.values() ?? []) sum = (sum ?? 0) + active;
  return sum;
}
