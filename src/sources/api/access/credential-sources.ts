import type { Logger } from "../../../model/logger.ts";
import type { Clock } from "../../../model/time/clock.ts";
import type { JsonObject } from "../../decode/object-reader.ts";
import { NO_OBSERVER, type RequestObserver } from "../transport/request-observer.ts";
import { type AccessConfig, bearer } from "./access-config.ts";
import { ExecPlugin } from "./exec-plugin.ts";
import type { Credentials } from "./kubeconfig.ts";
import { LastGood } from "./last-good.ts";
import { authorities, type KeyPair, keyPair, type PemSource, readPem } from "./pem.ts";
import { TokenFile } from "./token-file.ts";

export interface CredentialDependencies {
  readonly clock: Clock;
  /** Evenly distributed in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Kills a running plugin. */
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  /** By default none. */
  readonly requests?: RequestObserver | undefined;
}

const NO_PAIR: KeyPair = { cert: "", key: "" };

/** Reads the credentials of an `AccessConfig` from its files, inline data and plugin. */
export class CredentialSources {
  readonly #config: AccessConfig;
  readonly #authority: LastGood<string>;
  readonly #pair: LastGood<KeyPair>;
  readonly #token: TokenFile | undefined;
  readonly #plugin: ExecPlugin | undefined;

  /** `server` is passed to the plugin. Throws for invalid inline data, because it cannot become valid later. */
  constructor(config: AccessConfig, server: string, dependencies: CredentialDependencies) {
    const { authority, clientCert, clientKey, tokenFile, exec } = config;
    const { clock, logger } = dependencies;
    this.#config = config;
    this.#authority = new LastGood(() => readAuthorities(authority), logger);
    this.#pair = new LastGood(() => readPair(clientCert, clientKey), logger);
    this.#token = tokenFile === undefined ? undefined : new TokenFile(tokenFile.path, tokenFile.label, clock, logger);
    this.#plugin =
      exec === undefined
        ? undefined
        : new ExecPlugin(exec, {
            ...dependencies,
            observer: dependencies.requests ?? NO_OBSERVER,
            cluster: () => this.#clusterInfo(server),
          });
    if (authority?.path === "") authorities(authority.inline, authority.label);
    if (clientCert?.path === "" && clientKey?.path === "")
      keyPair({ cert: clientCert.inline, key: clientKey.inline }, clientCert.label, clientKey.label);
  }

  /**
   * The current credentials. Files and plugin are read again when needed. Rejects if the plugin fails, or if a file is
   * invalid and was never valid.
   */
  async current(): Promise<Credentials> {
    const { headers, tlsServerName: serverName, verify } = this.#config;
    const ca = await this.#authority.current();
    const plugin = await this.#plugin?.current();
    const given = bearer(await this.#tokenFromFile()) || this.#config.authorization;
    // As in client-go, a given token takes precedence over the plugin's, and the plugin's certificate over a given one.
    const authorization = given || bearer(plugin?.token ?? "");
    const pair = plugin === undefined || plugin.pair.cert === "" ? await this.#pair.current() : plugin.pair;
    return {
      headers: { ...headers, ...(authorization === "" ? {} : { authorization }) },
      tls: { ca, ...pair, serverName, verify },
    };
  }

  /** The source for which `current` waits, as text for an error. */
  get waitsFor(): string {
    return this.#plugin?.isRunning ? (this.#config.exec?.label ?? "") : "a file";
  }

  /** Reads the sources of these credentials again, because the server refused them. */
  refuse({ headers: { authorization = "" }, tls }: Credentials): void {
    const token = String(authorization).replace(/^Bearer /, "");
    this.#token?.refuse(token);
    this.#plugin?.refuse(token, tls.cert);
  }

  /** "" without a token file, and if the file cannot be read but the kubeconfig also has a token. */
  async #tokenFromFile(): Promise<string> {
    if (this.#token === undefined) return "";
    const token = this.#token.current();
    return this.#config.authorization === "" ? await token : await token.catch(() => "");
  }

  async #clusterInfo(server: string): Promise<JsonObject> {
    const { tlsServerName, verify, execExtension } = this.#config;
    const ca = await this.#authority.current();
    return {
      server,
      ...(tlsServerName === "" ? {} : { "tls-server-name": tlsServerName }),
      ...(verify ? {} : { "insecure-skip-tls-verify": true }),
      ...(ca === "" ? {} : { "certificate-authority-data": Buffer.from(ca).toString("base64") }),
      ...(execExtension === undefined ? {} : { config: execExtension }),
    };
  }
}

/** The authorities of a source; "" without a source, for the authorities of the system. */
async function readAuthorities(source: PemSource | undefined): Promise<string> {
  return source === undefined ? "" : authorities(await readPem(source), source.label);
}

async function readPair(cert: PemSource | undefined, key: PemSource | undefined): Promise<KeyPair> {
  if (cert === undefined || key === undefined) return NO_PAIR;
  return keyPair({ cert: await readPem(cert), key: await readPem(key) }, cert.label, key.label);
}
