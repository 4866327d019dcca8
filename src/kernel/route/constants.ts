/* Names and numbers of linux/rtnetlink.h and net/flow.h. */

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

export const RTMSG_BYTES = 12;
export const RTA_DST = 1;
export const RTA_OIF = 4;
export const RTA_PRIORITY = 6;
export const RTA_TABLE = 15;

/** The table with the addresses of the host, the first that Linux searches. */
export const RT_TABLE_LOCAL = 255;
/** Packets of a route of this type are for the host. */
export const RTN_LOCAL = 2;
export const RT_SCOPE_HOST = 254;

/**
 * The index of the interface lo, the same in every network namespace. IPv6 accepts a route only on an interface that is
 * up, and kube-ipvs0 is down.
 */
export const LOOPBACK_IFINDEX = 1;

/**
 * The route protocol number of kube-ipvs, which no other program is known to use: it shows in the kernel whose a route
 * is. The kernel compares it when a route is deleted.
 */
export const RTPROT_KUBE_IPVS = 173;
/** The name of that number, if the host has it in /etc/iproute2/rt_protos.d. */
export const PROTOCOL_NAME = "kube-ipvs";

/**
 * The metric of the routes of kube-ipvs. Beside a route of the kernel (0) or of another program to the same address it
 * needs a metric of its own: IPv4 and IPv6 refuse a second route of equal metric, IPv6 whatever its protocol.
 */
export const METRIC = 173;
