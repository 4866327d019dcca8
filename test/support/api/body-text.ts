import type { Body } from "../../../src/sources/api/transport/transport.ts";

/** The whole body; rejects when it is cut short. */
export async function bodyText(body: Body): Promise<string> {
  const pieces: Uint8Array[] = [];
  await body.read((chunk) => void pieces.push(chunk));
  return Buffer.concat(pieces).toString();
}
