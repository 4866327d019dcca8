import type { Forwarding, IpvsTimeoutName, SchedulerFlag } from "../../model/kernel/ipvs.ts";

/**
 * Names and numbers of linux/ip_vs.h and linux/genetlink.h. The kernel calls a virtual server "service" and a real
 * server "dest".
 */

export const GENL_ID_CTRL = 16;
export const CTRL_VERSION = 2;
export const CTRL_CMD_GETFAMILY = 3;
export const CTRL_ATTR_FAMILY_ID = 1;
export const CTRL_ATTR_FAMILY_NAME = 2;

export const IPVS_GENL_NAME = "IPVS";

export const IPVS_CMD_NEW_SERVICE = 1;
export const IPVS_CMD_SET_SERVICE = 2;
export const IPVS_CMD_DEL_SERVICE = 3;
export const IPVS_CMD_GET_SERVICE = 4;
export const IPVS_CMD_NEW_DEST = 5;
export const IPVS_CMD_SET_DEST = 6;
export const IPVS_CMD_DEL_DEST = 7;
export const IPVS_CMD_GET_DEST = 8;
export const IPVS_CMD_SET_CONFIG = 12;
export const IPVS_CMD_GET_CONFIG = 13;

export const IPVS_CMD_ATTR_SERVICE = 1;
export const IPVS_CMD_ATTR_DEST = 2;
export const IPVS_CMD_ATTR_TIMEOUT_TCP = 4;
export const IPVS_CMD_ATTR_TIMEOUT_TCP_FIN = 5;
export const IPVS_CMD_ATTR_TIMEOUT_UDP = 6;

export const IPVS_SVC_ATTR_AF = 1;
export const IPVS_SVC_ATTR_PROTOCOL = 2;
export const IPVS_SVC_ATTR_ADDR = 3;
export const IPVS_SVC_ATTR_PORT = 4;
export const IPVS_SVC_ATTR_FWMARK = 5;
export const IPVS_SVC_ATTR_SCHED_NAME = 6;
export const IPVS_SVC_ATTR_FLAGS = 7;
export const IPVS_SVC_ATTR_TIMEOUT = 8;
export const IPVS_SVC_ATTR_NETMASK = 9;
export const IPVS_SVC_ATTR_STATS = 10;
/** Linux 4.1: as IPVS_SVC_ATTR_STATS, with 64 bits for each number. */
export const IPVS_SVC_ATTR_STATS64 = 12;

export const IPVS_DEST_ATTR_ADDR = 1;
export const IPVS_DEST_ATTR_PORT = 2;
export const IPVS_DEST_ATTR_FWD_METHOD = 3;
export const IPVS_DEST_ATTR_WEIGHT = 4;
export const IPVS_DEST_ATTR_U_THRESH = 5;
export const IPVS_DEST_ATTR_L_THRESH = 6;
export const IPVS_DEST_ATTR_ACTIVE_CONNS = 7;
export const IPVS_DEST_ATTR_INACT_CONNS = 8;
export const IPVS_DEST_ATTR_STATS = 10;
/**
 * Linux 3.18; older kernels do not send it. From 13 on there are the type, port and flags of tunnels (5.3), which the
 * agent ignores.
 */
export const IPVS_DEST_ATTR_ADDR_FAMILY = 11;
/** Linux 4.1: as IPVS_DEST_ATTR_STATS, with 64 bits for each number. */
export const IPVS_DEST_ATTR_STATS64 = 12;

export const IPVS_STATS_ATTR_CONNS = 1;
export const IPVS_STATS_ATTR_INPKTS = 2;
export const IPVS_STATS_ATTR_OUTPKTS = 3;
export const IPVS_STATS_ATTR_INBYTES = 4;
export const IPVS_STATS_ATTR_OUTBYTES = 5;

export const AF_INET = 2;
export const AF_INET6 = 10;

export const IP_VS_SVC_F_PERSISTENT = 0x1;
export const IP_VS_SVC_F_ONEPACKET = 0x4;
export const IP_VS_SVC_F_SCHED1 = 0x8;
export const IP_VS_SVC_F_SCHED2 = 0x10;
export const IP_VS_SVC_F_SCHED3 = 0x20;

export const IP_VS_CONN_F_FWD_MASK = 0x7;

export const TIMEOUT_ATTRIBUTES: Readonly<Record<IpvsTimeoutName, number>> = {
  tcp: IPVS_CMD_ATTR_TIMEOUT_TCP,
  tcpfin: IPVS_CMD_ATTR_TIMEOUT_TCP_FIN,
  udp: IPVS_CMD_ATTR_TIMEOUT_UDP,
};

export const FORWARDING_NUMBERS: Readonly<Record<Forwarding, number>> = {
  masquerade: 0,
  local: 1,
  tunnel: 2,
  direct: 3,
  bypass: 4,
};

/** Forwarding methods as /proc/net/ip_vs prints them; bypass, which no tool can set, is printed as Masq. */
export const FORWARDING_WORDS: Readonly<Record<string, Forwarding>> = {
  Masq: "masquerade",
  Local: "local",
  Tunnel: "tunnel",
  Route: "direct",
};

/** The three scheduler-specific bits have a name in ipvsadm for the schedulers sh and mh. */
export const FLAG_BITS: Readonly<Record<SchedulerFlag, number>> = {
  "one-packet": IP_VS_SVC_F_ONEPACKET,
  "sh-fallback": IP_VS_SVC_F_SCHED1,
  "sh-port": IP_VS_SVC_F_SCHED2,
  "mh-fallback": IP_VS_SVC_F_SCHED1,
  "mh-port": IP_VS_SVC_F_SCHED2,
  "flag-1": IP_VS_SVC_F_SCHED1,
  "flag-2": IP_VS_SVC_F_SCHED2,
  "flag-3": IP_VS_SVC_F_SCHED3,
};
