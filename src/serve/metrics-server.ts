import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Registry } from "prom-client";
import type { AccessControl } from "./access/access-control.ts";
import { answerAnyMethod, type HttpResponse, JSON_TEXT, PLAIN } from "./http-server.ts";
import type { SliMetrics } from "./metrics/sli-metrics.ts";

const compressed = promisify(gzip);

export interface MetricsServerOptions {
  readonly registry: Registry;
  /** More metrics as text, for so many samples that they are rendered in slices. */
  readonly traffic?: { readonly text: () => Promise<string> } | undefined;
  readonly slis: SliMetrics;
  /** Returns the text of /statusz. */
  readonly statusPage: (paths: readonly string[]) => string;
  /** Returns the text of /flagz. */
  readonly flagsPage: () => string;
  /** Returns the effective KubeProxyConfiguration. */
  readonly configuration: () => object;
  /** Decides who may read; by default everyone may. */
  readonly access?: Pick<AccessControl, "refusal"> | undefined;
}

/** The paths of the server, as in kube-proxy. */
const PATHS = [
  "/configz",
  "/flagz",
  "/healthz",
  "/healthz/ping",
  "/metrics",
  "/metrics/slis",
  "/proxyMode",
  "/statusz",
];

/** Makes the server answer with metrics and pages about the process, with the paths and responses of kube-proxy. */
export function serveMetrics(
  server: FastifyInstance,
  { registry, traffic, slis, statusPage, flagsPage, configuration, access }: MetricsServerOptions,
): void {
  if (access !== undefined) protect(server, access);
  const text = (body: string) => ({ status: 200, headers: PLAIN, body });
  const metrics = exposition(registry, async () => (await traffic?.text()) ?? "");
  const indicators = exposition(slis.registry);
  answerAnyMethod(server, "/metrics", metrics);
  answerAnyMethod(server, "/metrics/slis", (request) => {
    if (request.method !== "DELETE") return indicators(request);
    slis.reset();
    return text("metrics reset\n");
  });
  answerAnyMethod(server, "/healthz", ({ query }) => {
    slis.record("ping", "healthz", "success");
    // Fastify parses the query to an object of texts and lists of texts.
    return text(pingText(query as PingQuery));
  });
  answerAnyMethod(server, "/healthz/ping", () => text("ok"));
  answerAnyMethod(server, "/proxyMode", () => text("ipvs"));
  answerAnyMethod(server, "/statusz", () => text(statusPage(PATHS)));
  answerAnyMethod(server, "/flagz", () => text(flagsPage()));
  answerAnyMethod(server, "/configz", () => {
    const body = JSON.stringify({ "kubeproxy.config.k8s.io": configuration() });
    return { status: 200, headers: JSON_TEXT, body };
  });
}

/** Refuses requests before anything is computed for them. */
function protect(server: FastifyInstance, access: Pick<AccessControl, "refusal">): void {
  server.addHook("onRequest", async ({ headers, method, url }, reply) => {
    const { authorization = "" } = headers;
    const refusal = await access.refusal({ authorization, method, path: url.replace(/\?.*$/s, "") });
    if (refusal !== undefined) await reply.code(refusal.status).headers(refusal.headers).send(refusal.body);
  });
}

/** Answers with the metrics of a registry, compressed if the client accepts gzip. */
function exposition(
  registry: Registry,
  more: () => Promise<string> = async () => "",
): (request: FastifyRequest) => Promise<HttpResponse> {
  // Requests that arrive during a rendering share its result, because rendering is by far the most expensive response.
  const render = shared(async () => (await registry.metrics()) + (await more()));
  const renderCompressed = shared(async () => await compressed(await render()));
  return async ({ headers }) => {
    const plain = { "content-type": registry.contentType };
    return acceptsGzip(headers["accept-encoding"])
      ? { status: 200, headers: { ...plain, "content-encoding": "gzip" }, body: await renderCompressed() }
      : { status: 200, headers: plain, body: await render() };
  };
}

/** Whether Accept-Encoding allows gzip (RFC 9110, 12.5.3). */
function acceptsGzip(header: string | string[] = ""): boolean {
  return String(header)
    .split(",")
    .some((coding) => /^\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)[\d.]+\s*)?$/i.test(coding));
}

interface PingQuery {
  readonly verbose?: string;
  readonly exclude?: string | readonly string[];
}

/** The text of /healthz with its only check, "ping", which always passes. The texts are those of Kubernetes. */
function pingText({ verbose, exclude }: PingQuery): string {
  if (verbose === undefined) return "ok";
  const excluded = exclude === undefined ? [] : [exclude].flat();
  const unknown = excluded.filter((name) => name !== "ping").map((name) => `"${name}"`);
  return [
    excluded.includes("ping") ? "[+]ping excluded: ok" : "[+]ping ok",
    ...(unknown.length === 0
      ? []
      : [`warn: some health checks cannot be excluded: no matches for ${unknown.join(", ")}`]),
    "healthz check passed\n",
  ].join("\n");
}

/** A function that runs the task. Calls during a run get the result of that run. */
function shared<Result>(task: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | undefined;
  return () => {
    running ??= task().finally(() => {
      running = undefined;
    });
    return running;
  };
}
