import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Expectation, ModeObserver } from "./observer.ts";
import { meets, readIptables, readNftables, type ServedRules } from "./rule-text.ts";

interface RuleReader {
  readonly argv: readonly string[];
  readonly read: (text: string) => ServedRules;
}

const READERS: Readonly<Record<"iptables" | "nftables", RuleReader>> = {
  iptables: { argv: ["iptables-save", "-t", "nat"], read: readIptables },
  nftables: { argv: ["nft", "-n", "list", "table", "ip", "kube-proxy"], read: readNftables },
};

/**
 * Reads all rules of kube-proxy's iptables or nftables mode with the program of that mode. One poll takes as long as the
 * program: the times that it finds are late by half a poll on average, and at most by one.
 */
export class RulesObserver implements ModeObserver {
  readonly mode: "iptables" | "nftables";
  readonly pauseMs = 50;
  readonly countsOnce = true;

  constructor(mode: "iptables" | "nftables") {
    this.mode = mode;
  }

  async holds(expectations: readonly Expectation[]): Promise<readonly boolean[]> {
    const rules = await this.#rules();
    return expectations.map((expected) => meets(rules, expected));
  }

  async counts(): Promise<{ servers: number; endpoints: number }> {
    const { services, endpoints } = await this.#rules();
    return { servers: services.size, endpoints: endpoints.size };
  }

  async close(): Promise<void> {}

  async #rules(): Promise<ServedRules> {
    const { argv, read } = READERS[this.mode];
    const [program = "", ...words] = argv;
    // A table that does not exist yet is an error of nft.
    const stdout = await promisify(execFile)(program, words, { maxBuffer: 1 << 30 }).then(
      (result) => result.stdout,
      () => "",
    );
    return read(stdout);
  }
}
