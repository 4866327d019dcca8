import { X509Certificate } from "node:crypto";
import { Backoff, type BackoffOptions } from "../../../model/time/backoff.ts";
import type { Clock } from "../../../model/time/clock.ts";
import type { JsonObject } from "../../decode/object-reader.ts";
import type { RequestObserver } from "../transport/request-observer.ts";
import { type ExecConfig, type ExecCredential, execInfo, readExecCredential } from "./exec-credential.ts";
import { PluginError, runProgram } from "./plugin-process.ts";

/** The waits between two runs. A credential that is valid for 15 s or longer is renewed without a wait. */
const RUNS: BackoffOptions = { initialMs: 800, maxMs: 30_000, resetAfterMs: 10_000 };

export interface ExecPluginDependencies {
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  /** Kills the plugin. */
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  /** The description of the cluster for the plugin. */
  readonly cluster: () => Promise<JsonObject>;
  readonly observer: Pick<RequestObserver, "pluginEnded" | "pluginCertificateIs">;
}

/**
 * The credential of an exec plugin. The plugin runs if there is no credential, if it has expired, and if the server has
 * refused it. All callers wait for the same run. After a failure or a refusal, the next run waits with a backoff.
 */
export class ExecPlugin {
  readonly #config: ExecConfig;
  readonly #dependencies: ExecPluginDependencies;
  readonly #backoff: Backoff;
  #kept: ExecCredential | undefined;
  #isRefused = false;
  #failure: Error | undefined;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #running: Promise<ExecCredential> | undefined;

  constructor(config: ExecConfig, dependencies: ExecPluginDependencies) {
    this.#config = config;
    this.#dependencies = dependencies;
    this.#backoff = new Backoff(RUNS, dependencies.random);
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** The current credential. Rejects with an error that names the plugin. */
  async current(): Promise<ExecCredential> {
    const kept = this.#kept;
    if (kept !== undefined && !this.#isRefused && this.#dependencies.clock.date().getTime() < kept.expiresAtMs)
      return kept;
    if (this.#running === undefined && this.#dependencies.clock.now() < this.#notBeforeMs) {
      if (this.#failure !== undefined) throw this.#failure;
      if (kept !== undefined) return kept;
    }
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      const nowMs = this.#dependencies.clock.now();
      this.#notBeforeMs = nowMs + this.#backoff.next(nowMs);
    });
    return await this.#running;
  }

  /** Marks these credentials as refused by the server, so that the plugin runs again. Ignores earlier credentials. */
  refuse(token: string, cert: string): void {
    if (this.#kept?.token === token && this.#kept.pair.cert === cert) this.#isRefused = true;
  }

  async #run(): Promise<ExecCredential> {
    const { clock, signal, env, cluster, observer } = this.#dependencies;
    const { label, command, args, provideClusterInfo } = this.#config;
    try {
      const info = execInfo(this.#config, provideClusterInfo ? await cluster() : undefined);
      const variables = { ...env, ...this.#config.env, KUBERNETES_EXEC_INFO: info };
      const stdout = await runProgram({ command, args, env: variables }, clock, signal).catch((cause: Error) => {
        const { result, exitCode } =
          cause instanceof PluginError ? cause : { result: "client_internal_error", exitCode: 1 };
        observer.pluginEnded(result, exitCode);
        throw new Error(`Cannot get credentials: ${label} ${cause.message}`, { cause });
      });
      observer.pluginEnded("no_error", 0);
      const last = this.#kept?.pair.cert ?? "";
      this.#kept = readExecCredential(stdout, this.#config);
      this.#observeCertificate(last, this.#kept.pair.cert);
      this.#isRefused = false;
      this.#failure = undefined;
      return this.#kept;
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw this.#failure;
    }
  }

  #observeCertificate(last: string, cert: string): void {
    if (cert === "" || cert === last) return;
    const { validFromDate, validToDate } = new X509Certificate(cert);
    this.#dependencies.observer.pluginCertificateIs(validFromDate.getTime(), validToDate.getTime());
  }
}
