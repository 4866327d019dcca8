import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Readings } from "../../model/time/clock.ts";

/** The buckets of client-go for the duration of a request, in seconds. */
const DURATION_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
/** The buckets of client-go for the resolution of a name, in seconds. */
const RESOLUTION_BUCKETS = DURATION_BUCKETS.slice(0, -1);
/** The buckets of client-go for the size of a request or response: 64 bytes to 16 MiB. */
const SIZE_BUCKETS = [64, 256, 512, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];
/** The buckets of client-go for the age of a certificate of an exec plugin: 10 minutes to 4 years, in seconds. */
const ROTATION_BUCKETS = [
  600, 1800, 3600, 14_400, 86_400, 604_800, 2_592_000, 7_776_000, 15_552_000, 31_104_000, 124_416_000,
];

/** The methods of the requests of this agent. */
const METHODS = ["GET", "POST", "PATCH"];
/** Codes that have a sample from the start: those of every day, and at least one of each class, for dashboards. */
const FIRST_CODES = ["200", "201", "304", "401", "403", "404", "409", "410", "429", "500", "503", "504", "<error>"];

interface ObservedRequest {
  readonly method: string;
  readonly host: string;
}

/** The metrics of requests to API servers, with the names, labels and buckets of client-go. The constructor registers them. */
export class RestClientMetrics {
  readonly #metrics: ReturnType<typeof restClientMetrics>;
  readonly #clock: Pick<Readings, "date">;
  /** The Unix times between which the certificate of the exec plugin is valid. */
  #certificate: { readonly fromMs: number; readonly untilMs: number } | undefined;

  constructor(registry: Registry, clock: Pick<Readings, "date">) {
    this.#clock = clock;
    this.#metrics = restClientMetrics([registry], () => this.#pluginTtlSeconds());
    for (const result of ["hit", "miss"]) this.#metrics.connects.inc({ result }, 0);
    this.#metrics.pluginCalls.inc({ code: "0", call_status: "no_error" }, 0);
  }

  /** Sets the samples of these hosts to 0. */
  serversAre(hosts: readonly string[]): void {
    this.#metrics.reachable.set(0);
    for (const host of hosts)
      for (const verb of METHODS) {
        for (const code of FIRST_CODES) this.#metrics.requests.inc({ code, method: verb, host }, 0);
        for (const histogram of this.#byVerb()) histogram.zero({ verb, host });
      }
  }

  /** Counts a request that was answered with this code, or has failed. */
  requestEnded({ method, host }: ObservedRequest, code: string, durationMs: number, sentBytes: number): void {
    this.#metrics.requests.inc({ code, method, host });
    this.#metrics.reachable.set(code === "<error>" ? 0 : 1);
    this.#metrics.duration.observe({ verb: method, host }, durationMs / 1000);
    this.#metrics.requestSize.observe({ verb: method, host }, sentBytes);
  }

  /** Records the size of the body of a response. */
  bodyEnded({ method, host }: ObservedRequest, receivedBytes: number): void {
    this.#metrics.responseSize.observe({ verb: method, host }, receivedBytes);
  }

  /** Counts a request that is sent again. */
  requestRepeated({ method, host }: ObservedRequest, code: string): void {
    this.#metrics.retries.inc({ code, verb: method, host });
  }

  /** Counts a request by whether it opens a connection. */
  connectionUsed(isNew: boolean): void {
    this.#metrics.connects.inc({ result: isNew ? "miss" : "hit" });
  }

  /** Sets the number of open connections. */
  connectionsAre(count: number): void {
    this.#metrics.connections.set(count);
  }

  /** Records the resolution of the name of a server. */
  hostResolved(host: string, durationMs: number): void {
    this.#metrics.resolution.observe({ host }, durationMs / 1000);
  }

  /** Counts a run of the exec plugin. */
  pluginEnded(result: string, exitCode: number): void {
    this.#metrics.pluginCalls.inc({ code: String(exitCode), call_status: result });
  }

  /** Records the age of the last certificate of the exec plugin, and the end of the new one. */
  pluginCertificateIs(fromMs: number, untilMs: number): void {
    const last = this.#certificate;
    if (last !== undefined) this.#metrics.pluginRotation.observe((this.#nowMs() - last.fromMs) / 1000);
    this.#certificate = { fromMs, untilMs };
  }

  #pluginTtlSeconds(): number {
    const { untilMs } = this.#certificate ?? { untilMs: Number.POSITIVE_INFINITY };
    return (untilMs - this.#nowMs()) / 1000;
  }

  #nowMs(): number {
    return this.#clock.date().getTime();
  }

  #byVerb() {
    const { duration, rateLimiter, requestSize, responseSize } = this.#metrics;
    return [duration, rateLimiter, requestSize, responseSize];
  }
}

function restClientMetrics(registers: Registry[], pluginTtlSeconds: () => number) {
  const byVerb = { labelNames: ["verb", "host"] as const, registers };
  return {
    requests: new Counter({
      name: "rest_client_requests_total",
      help: 'Requests to API servers by HTTP status, method and host. Code "<error>": no response.',
      labelNames: ["code", "method", "host"] as const,
      registers,
    }),
    duration: new Histogram({
      name: "rest_client_request_duration_seconds",
      help: "Time from a request to an API server until the head of its response, or its failure. The objects of lists and watches follow later.",
      buckets: DURATION_BUCKETS,
      ...byVerb,
    }),
    rateLimiter: new Histogram({
      name: "rest_client_rate_limiter_duration_seconds",
      help: "Always without observations: no request waits for a rate limiter. It exists for dashboards of kube-proxy.",
      buckets: DURATION_BUCKETS,
      ...byVerb,
    }),
    requestSize: new Histogram({
      name: "rest_client_request_size_bytes",
      help: "Size of the body of a request to an API server.",
      buckets: SIZE_BUCKETS,
      ...byVerb,
    }),
    responseSize: new Histogram({
      name: "rest_client_response_size_bytes",
      help: "Size of the body of a response of an API server, without watches, which kube_ipvs_watch_bytes_total counts.",
      buckets: SIZE_BUCKETS,
      ...byVerb,
    }),
    retries: new Counter({
      name: "rest_client_request_retries_total",
      help: "Requests sent again at once, by the code of the first response: 401 after new credentials, <error> if the server did not process it.",
      labelNames: ["code", "verb", "host"] as const,
      registers,
    }),
    resolution: new Histogram({
      name: "rest_client_dns_resolution_duration_seconds",
      help: "Time to resolve the name of an API server. Without observations if the servers are given by addresses.",
      buckets: RESOLUTION_BUCKETS,
      labelNames: ["host"] as const,
      registers,
    }),
    connections: new Gauge({
      name: "rest_client_transport_cache_entries",
      help: "Open connections to API servers. Usually 1, because all requests share a connection.",
      registers,
    }),
    connects: new Counter({
      name: "rest_client_transport_create_calls_total",
      help: "Requests by connection: hit uses the open connection, miss opens a connection.",
      labelNames: ["result"] as const,
      registers,
    }),
    reachable: new Gauge({
      name: "kube_ipvs_api_server_reachable",
      help: "Is 1 if the last request to an API server got a response, whatever its status. 0 for minutes: the log has the cause, and the kernel serves the last state. Always 0 with manifests.",
      registers,
    }),
    pluginTtl: new Gauge({
      name: "rest_client_exec_plugin_ttl_seconds",
      help: "Time until the client certificate of the exec plugin expires; +Inf without such a certificate.",
      registers,
      collect() {
        this.set(pluginTtlSeconds());
      },
    }),
    pluginRotation: new Histogram({
      name: "rest_client_exec_plugin_certificate_rotation_age",
      help: "Age in seconds of a client certificate of the exec plugin when the next one replaced it.",
      buckets: ROTATION_BUCKETS,
      registers,
    }),
    pluginCalls: new Counter({
      name: "rest_client_exec_plugin_call_total",
      help: "Runs of the exec plugin of the kubeconfig by exit code and result, as in client-go.",
      labelNames: ["code", "call_status"] as const,
      registers,
    }),
  };
}
