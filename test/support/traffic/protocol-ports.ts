const TCP = { name: "tcp", port: 80 };
const UDP = { name: "udp", port: 80, protocol: "UDP" };
const SCTP = { name: "sctp", port: 80, protocol: "SCTP" };

/** Port 80 of a Service for each protocol. */
export const PORTS = [TCP, UDP, SCTP];

/** The ports of its pods. */
export const TARGETS = PORTS.map((port) => ({ ...port, port: 8080 }));
