import { testTls } from "../api/api-server.ts";

const A = testTls("a");
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** The TLS settings of a kubeconfig that has none. */
export const NOTHING = { ca: "", cert: "", key: "", serverName: "", verify: true };

/** Files beside a kubeconfig. */
export const FILES = { "pki/ca": A.cert, "pki/cert": A.cert, "pki/key": A.key, token: "from file\n", empty: "" };

/** The authority, as data and as a file. */
export const CA_DATA = { "certificate-authority-data": base64(A.cert) };
export const CA_FILE = { "certificate-authority": "pki/ca" };

/** The certificate of the client and its key, as data, as files, and as they are used. */
export const PAIR_DATA = { "client-certificate-data": base64(A.cert), "client-key-data": base64(A.key) };
export const PAIR_FILES = { "client-certificate": "pki/cert", "client-key": "pki/key" };
export const PAIR = { cert: A.cert, key: A.key };
