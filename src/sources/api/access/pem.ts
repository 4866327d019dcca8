import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { reasonOf } from "../transport/reason.ts";
import { readRegularFile } from "./regular-file.ts";

/** The source of a PEM text: inline text, or a file that may change. */
export interface PemSource {
  /** The field, object and file in errors. */
  readonly label: string;
  /** The path of the file; "" for inline text. */
  readonly path: string;
  readonly inline: string;
}

/** A client certificate and its key in PEM format; both "" for none. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The text of a source. Rejects with an error that names the source. */
export async function readPem({ label, path, inline }: PemSource): Promise<string> {
  if (path === "") return inline;
  return await readRegularFile(path).catch((error: unknown) => {
    throw new Error(`Cannot read ${label}: ${reasonOf(error)}`, { cause: error });
  });
}

/**
 * The valid certificates of the text in PEM format. Throws if there is none: the TLS of Node.js ignores invalid
 * certificates, and would then accept no server without a clear error.
 */
export function authorities(pem: string, label: string): string {
  const readable = [...pem.matchAll(CERTIFICATE)].map(([text]) => text).filter(isCertificate);
  if (readable.length === 0) throw new Error(`Cannot use ${label}: it contains no certificate in PEM format`);
  return `${readable.join("\n")}\n`;
}

/** The pair, if both parts are valid and belong together. Otherwise throws with the label of the invalid part. */
export function keyPair({ cert, key }: KeyPair, certLabel: string, keyLabel: string): KeyPair {
  const certificate = attempt(
    `Cannot use ${certLabel}: it contains no certificate in PEM format`,
    () => new X509Certificate(cert),
  );
  const privateKey = attempt(`Cannot use ${keyLabel}: it contains no unencrypted private key in PEM format`, () =>
    createPrivateKey(key),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw new Error(`Cannot use ${certLabel}: it does not belong to the key of ${keyLabel}`);
  // OpenSSL makes further checks, for example of the length of the key.
  attempt(`Cannot use ${certLabel} with ${keyLabel}`, () => createSecureContext({ cert, key }));
  return { cert, key };
}

/** The result of `make`. If it throws, throws with this message and the reason of the library in brackets. */
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
