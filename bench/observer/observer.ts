/** A virtual server or Service address in the kernel, and what must hold for it. Addresses are as the API writes them. */
export interface Expectation {
  readonly protocol: "TCP" | "UDP";
  readonly address: string;
  readonly port: number;
  /** Whether clients are served at all; if not, the lists below are empty. */
  readonly served: boolean;
  /** "address:port" of endpoints that must be there, and of endpoints that must be gone, or have weight 0 in IPVS. */
  readonly present: readonly string[];
  readonly absent: readonly string[];
}

/** Reads from outside what a proxy has programmed. Every proxy of a run is judged by the same observer. */
export interface Observer {
  /** Which of the expectations hold now, in their order. */
  holds(expectations: readonly Expectation[]): Promise<readonly boolean[]>;
  /** Pause after a poll that found something missing, so that polling does not take the CPU from the proxy. */
  readonly pauseMs: number;
  /** Whether an endpoint that several ports of a Service share counts once. */
  readonly countsOnce: boolean;
  /** Virtual servers, and endpoints of all of them, that the kernel has. */
  counts(): Promise<{ readonly servers: number; readonly endpoints: number }>;
  close(): Promise<void>;
}

/** An observer of one way to program Services. */
export interface ModeObserver extends Observer {
  /** How the proxy programs Services. */
  readonly mode: "ipvs" | "iptables" | "nftables";
}
