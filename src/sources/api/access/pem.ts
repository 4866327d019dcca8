import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { reasonOf } from "../transport/reason.ts";
import { readRegularFile } from "./regular-file.ts";

/** Where a PEM text comes from: given inline, or a file that may change. */
export interface PemSource {
  /** Names field, object and file in errors. */
  readonly label: string;
  /** Path of the file; "" for inline text. */
  readonly path: string;
  readonly inline: string;
}

/** A client certificate with its key, as PEM; both "" for none. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The text of a source. Rejects with an error that names it. */
export async function readPem({ label, path, inline }: PemSource): Promise<string> {
  if (path === "") return inline;
  return await readRegularFile(path).catch((error: unknown) => {
    throw new Error(`Cannot read ${label}: ${reasonOf(error)}`, { cause: error });
  });
}

/**
 * The certificates in the text that can be read, as PEM. Throws when there is none: TLS of Node takes no notice of what is
 * no certificate, and would trust nobody without saying why.
 */
export function authorities(pem: string, label: string): string {
  const readable = [...pem.matchAll(CERTIFICATE)].map(([text]) => text).filter(isCertificate);
  if (readable.length === 0) throw new Error(`Cannot use ${label}: it holds no certificate in PEM form`);
  return `${readable.join("\n")}\n`;
}

/** The pair, when both can be used and belong together. Throws with the label of the one that is wrong. */
export function keyPair({ cert, key }: KeyPair, certLabel: string, keyLabel: string): KeyPair {
  const certificate = attempt(
    `Cannot use ${certLabel}: it holds no certificate in PEM form`,
    () => new X509Certificate(cert),
  );
  const privateKey = attempt(`Cannot use ${keyLabel}: it holds no unencrypted private key in PEM form`, () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new Error(`Cannot use ${certLabel}: it does not belong to the key of ${keyLabel}`);
  // OpenSSL has more to say, as of keys that are too short.
  attempt(`Cannot use ${certLabel} with ${keyLabel}`, () => createSecureContext({ cert, key }));
  return { cert, key };
}

/** What `make` gives. Throws with this message, the library's own reason in brackets. */
function attempt<Value>(message: string, make: () => Value): Value {
  try {
    return make();
  } catch (error) {
    throw new Error(`${message} (${reasonOf(error)})`, { cause: error });
  }
}

function isCertificate(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
