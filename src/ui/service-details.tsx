import type { ServiceDetail } from "../explain/page/page-messages.ts";
import type { ExplainedPort } from "../explain/service/explain-service.ts";
import type { ExplainedFrontend, ExplainedReal } from "../explain/service/explained-frontends.ts";
import { explanationText } from "../explain/service/explanation-text.ts";
import { count } from "./format.ts";

interface ServiceDetailsProperties {
  readonly name: string;
  /** The last Service that came; it may be another one. */
  readonly detail: ServiceDetail | undefined;
  /** The address of the list. */
  readonly back: string;
}

/** One Service: why it answers or not, its virtual servers and its endpoints. */
export function ServiceDetails({ name, detail, back }: ServiceDetailsProperties) {
  const isThis = detail?.service === name;
  return (
    <>
      <p class="back">
        <a href={back}>← All Services</a>
      </p>
      <h2 class="service">{name}</h2>
      {isThis ? <Details detail={detail} /> : <p class="waiting">Waiting for the agent …</p>}
    </>
  );
}

function Details({ detail: { explanation, findings, unlisted, note } }: { readonly detail: ServiceDetail }) {
  return (
    <>
      <section class="panel" aria-labelledby="findings">
        <h3 id="findings">What is wrong</h3>
        <ul class="findings" aria-live="polite">
          {findings.length === 0 && note === "" && (
            <li class="ok">
              <span class="badge ok">ok</span>
              <span class="text">Nothing is wrong on this node</span>
            </li>
          )}
          {note !== "" && (
            <li class="info">
              <span class="badge info">note</span>
              <span class="text">{note}</span>
            </li>
          )}
          {findings.map(({ severity, what, effect, cure }) => (
            <li key={what} class={severity}>
              <span class={`badge ${severity}`}>{severity}</span>
              <span class="text">
                {what}
                {effect !== "" && <span class="effect">Effect: {effect}</span>}
                {cure !== "" && <span class="cure">Cure: {cure}</span>}
              </span>
            </li>
          ))}
        </ul>
      </section>
      {explanation?.frontends.map((frontend) => (
        <Frontend key={frontend.virtualServer} explained={frontend} />
      ))}
      {explanation?.ports.map((port) => (
        <Endpoints key={port.name} port={port} />
      ))}
      {unlisted > 0 && <p class="waiting">{count(unlisted)} more rows: kube-ipvs explain lists all of them</p>}
      {explanation && (
        <details class="panel">
          <summary>The same as text, as kube-ipvs explain prints it</summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reached by keyboard (WCAG 2.1.1) */}
          <pre tabIndex={0}>{explanationText(explanation)}</pre>
        </details>
      )}
    </>
  );
}

function Frontend({ explained }: { readonly explained: ExplainedFrontend }) {
  const { kind, frontend, virtualServer, scheduler, flags, affinitySeconds, owner, state } = explained;
  const { clients, realServers } = explained;
  const options = [
    scheduler === "" ? "" : `scheduler ${scheduler}${flags.length === 0 ? "" : ` (${flags.join(", ")})`}`,
    affinitySeconds === 0 ? "" : `client affinity ${affinitySeconds} s`,
    owner === "" ? "" : `of Service ${owner}`,
  ].filter((text) => text !== "");
  const most = Math.max(1, ...realServers.map(({ activeConnections }) => activeConnections));
  return (
    <section class="panel" aria-label={`${kind} ${frontend}`}>
      <h3>
        {kind} <code>{frontend}</code>{" "}
        <span class={`badge ${state === "as desired" ? "ok" : state === "not read" ? "info" : "error"}`}>{state}</span>
      </h3>
      <p class="facts">
        virtual server <code>{virtualServer}</code>
        {options.length > 0 && `: ${options.join(", ")}`}
      </p>
      {clients.map((line) => (
        <p key={line} class="facts">
          {line}
        </p>
      ))}
      {realServers.length === 0 ? (
        <p class="facts">no real servers</p>
      ) : (
        <Scrolled label={`Real servers of ${frontend}`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Real server</th>
                <th scope="col" class="number">
                  Weight
                </th>
                <th scope="col" class="number">
                  Active
                </th>
                <th scope="col" class="number">
                  Inactive
                </th>
                <th scope="col" class="number">
                  Packets in
                </th>
                <th scope="col" class="number">
                  Packets out
                </th>
              </tr>
            </thead>
            <tbody>
              {realServers.map((real) => (
                <RealServer key={real.realServer} real={real} most={most} />
              ))}
            </tbody>
          </table>
        </Scrolled>
      )}
    </section>
  );
}

function RealServer({ real, most }: { readonly real: ExplainedReal; readonly most: number }) {
  const { realServer, weight, desiredWeight, activeConnections, inactiveConnections, packetsIn, packetsOut } = real;
  return (
    <tr>
      <th scope="row">
        <code>{realServer}</code>
      </th>
      <td class="number">
        {weight ?? "missing"}
        {weight !== desiredWeight && (
          <span class="badge warning">{desiredWeight === undefined ? "draining" : `should be ${desiredWeight}`}</span>
        )}
      </td>
      <td class="number">
        <span class="bar">
          <svg width="60" height="8" aria-hidden="true">
            <rect width="60" height="8" rx="3" class="track" />
            <rect width={(60 * activeConnections) / most} height="8" rx="3" class="fill" />
          </svg>
          {count(activeConnections)}
        </span>
      </td>
      <td class="number">{count(inactiveConnections)}</td>
      <td class="number">{count(packetsIn)}</td>
      <td class="number">{count(packetsOut)}</td>
    </tr>
  );
}

const USED = { all: "used", some: "used by some clients", none: "not used" } as const;

function Endpoints({ port: { port, name, endpoints, unlisted } }: { readonly port: ExplainedPort }) {
  if (endpoints.length === 0) return null;
  return (
    <section class="panel" aria-label={`Port ${port}`}>
      <h3>
        Endpoints of port <code>{port}</code> <span class="facts">({name})</span>
      </h3>
      <Scrolled label={`Endpoints of port ${port}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Endpoint</th>
              <th scope="col">Node</th>
              <th scope="col">State</th>
              <th scope="col">Used</th>
            </tr>
          </thead>
          <tbody>
            {endpoints.map(({ endpoint, node, state, used, reason }) => (
              <tr key={endpoint}>
                <th scope="row">
                  <code>{endpoint}</code>
                </th>
                <td>{node}</td>
                <td>
                  <span class={`badge ${state === "ready" ? "ok" : "warning"}`}>{state}</span>
                </td>
                <td>
                  {USED[used]}
                  {reason !== "" && <span class="cause">{reason}</span>}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      {unlisted > 0 && <p class="facts">and {count(unlisted)} more</p>}
    </section>
  );
}

/** A wide table that scrolls by itself, so that the page does not. */
function Scrolled({ label, children }: { readonly label: string; readonly children: preact.ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reached by keyboard (WCAG 2.1.1)
    <section class="scrolled" aria-label={label} tabIndex={0}>
      {children}
    </section>
  );
}
