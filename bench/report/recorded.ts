import type { FigureName } from "./figure.ts";

/** A value that was measured once, by hand, and has neither a spread nor a number of samples. */
export interface Recorded extends FigureName {
  readonly text: string;
  readonly note: string;
}

const MARK = "recorded, not of this run";
const IPVS = { subject: "kube-proxy 1.36, ipvs" } as const;
const UML = { ...IPVS, size: "5000x10", note: `${MARK}: User Mode Linux, its sets filled beforehand` } as const;
const QEMU_NOTE = `${MARK}: QEMU 6.12, iptables-nft`;
const QEMU = { ...IPVS, size: "1000x10", note: QEMU_NOTE } as const;
const CHANGE = "one endpoint changes";

/**
 * Figures of kube-proxy, for which this project has no package: they stand in the tables beside those of a run. A run with
 * `--peer 'kube-proxy --config FILE'` has figures of its own.
 */
export const RECORDED: readonly Recorded[] = [
  { ...UML, scenario: "cold start", metric: "all programmed", text: "23.8 s" },
  { ...UML, scenario: CHANGE, metric: "API to kernel, p50", text: "5.5 s" },
  { ...UML, scenario: CHANGE, metric: "CPU for each change", text: "5.1 s" },
  { ...QEMU, scenario: "cold start", metric: "first Service", text: "2.4 s" },
  { ...QEMU, scenario: "cold start", metric: "all programmed", text: "9.5 s" },
  { ...QEMU, scenario: CHANGE, metric: "API to kernel, p50", text: "2081 ms" },
  {
    ...{ subject: "kube-proxy 1.36, nftables", size: "1000x10", note: `${QEMU_NOTE}, mean` },
    ...{ scenario: CHANGE, metric: "API to kernel, p50", text: "1950 ms" },
  },
];
