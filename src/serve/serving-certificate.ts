import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Server } from "node:tls";
import { createSecureContext } from "node:tls";
import { explanation } from "../model/explanation.ts";
import type { Logger } from "../model/logger.ts";
import type { Clock } from "../model/time/clock.ts";

/** The time between two checks of the files. cert-manager and the kubelet replace them long before the end of a certificate. */
const CHECK_MS = 10_000;

/** The files of a certificate, with its chain, and of its key, in PEM format. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateDependencies {
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
}

/** The certificate of a TLS server, from files that may be replaced at any time. */
export class ServingCertificate {
  readonly #files: CertificateFiles;
  readonly #server: Pick<Server, "setSecureContext">;
  readonly #dependencies: CertificateDependencies;
  /** The content of both files that is in use; "" before the first. */
  #inUse = "";
  #reported = "";

  constructor(
    files: CertificateFiles,
    server: Pick<Server, "setSecureContext">,
    dependencies: CertificateDependencies,
  ) {
    this.#files = files;
    this.#server = server;
    this.#dependencies = dependencies;
  }

  /** Reads the files, and uses them for new connections if they have changed. Rejects if they are not a valid pair. */
  async load(): Promise<void> {
    const { cert, key } = this.#files;
    const pair = { cert: await contentOf(cert), key: await contentOf(key) };
    const content = JSON.stringify(pair);
    if (content === this.#inUse) return;
    try {
      // OpenSSL accepts empty texts.
      new X509Certificate(pair.cert);
      createPrivateKey(pair.key);
      // Also checks that the two belong together.
      createSecureContext(pair);
    } catch (error) {
      throw new Error(`Cannot use certificate "${cert}" with key "${key}"`, { cause: error });
    }
    this.#server.setSecureContext(pair);
    if (this.#inUse !== "")
      this.#dependencies.logger.info({ file: cert }, "certificate of the metrics server replaced");
    this.#inUse = content;
  }

  /** Follows the files until the signal aborts. While they are no valid pair, as during a rotation, the last one stays in use. */
  async follow(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#dependencies;
    while (!signal.aborted) {
      await clock.sleep(CHECK_MS, signal);
      if (signal.aborted) return;
      try {
        await this.load();
        this.#reported = "";
      } catch (error) {
        const reason = explanation(error);
        if (reason !== this.#reported)
          logger.warn(
            { reason },
            "cannot replace the certificate of the metrics server; still using the last valid one",
          );
        this.#reported = reason;
      }
    }
  }
}

async function contentOf(file: string): Promise<string> {
  return await readFile(file, "utf8").catch((error: unknown) => {
    throw new Error(`Cannot read "${file}"`, { cause: error });
  });
}
