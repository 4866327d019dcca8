import { httpGet } from "./http-get.ts";

/** The answer of the running agent, or why there is none. */
export type AgentAnswer =
  | { readonly kind: "answer"; readonly json: unknown }
  | { readonly kind: "no agent"; readonly reason: string };

/** Asks the agent that listens at the unix socket for a JSON document. Throws if it answers with a failure. */
export async function askAgent(socketPath: string, path: string): Promise<AgentAnswer> {
  if (socketPath === "") return { kind: "no agent", reason: 'no agent is asked: --state-socket is ""' };
  try {
    const { status, body } = await httpGet({ socketPath, path });
    if (status !== 200) throw new Error(`The agent at "${socketPath}" refuses ${path}: ${body.trim()}`);
    return { kind: "answer", json: JSON.parse(body) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    return { kind: "no agent", reason: `no agent answers at "${socketPath}": ${code}` };
  }
}
