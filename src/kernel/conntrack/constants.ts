// From linux/netfilter/nfnetlink.h and nfnetlink_conntrack.h.

export const NFNL_SUBSYS_CTNETLINK = 1;

export const IPCTNL_MSG_CT_NEW = 0;
export const IPCTNL_MSG_CT_GET = 1;
export const IPCTNL_MSG_CT_DELETE = 2;

export const CTA_TUPLE_ORIG = 1;
export const CTA_TUPLE_REPLY = 2;
export const CTA_STATUS = 3;
export const CTA_ID = 12;
export const CTA_ZONE = 18;
/** Linux 5.8; older kernels ignore it and answer with the whole family. */
export const CTA_FILTER = 25;
/** The bits of CTA_STATUS that a list compares. Linux 5.15; older kernels ignore it. */
export const CTA_STATUS_MASK = 26;

/** The bit of CTA_STATUS of a flow with packets in both directions (`linux/netfilter/nf_conntrack_common.h`). */
export const IPS_SEEN_REPLY = 1 << 1;

/** Attributes within a tuple. */
export const CTA_TUPLE_IP = 1;
export const CTA_TUPLE_PROTO = 2;

/** Attributes within CTA_TUPLE_IP. */
export const CTA_IP_V4_SRC = 1;
export const CTA_IP_V4_DST = 2;
export const CTA_IP_V6_SRC = 3;
export const CTA_IP_V6_DST = 4;

/** Attributes within CTA_TUPLE_PROTO. */
export const CTA_PROTO_NUM = 1;
export const CTA_PROTO_SRC_PORT = 2;
export const CTA_PROTO_DST_PORT = 3;

/** Attributes within CTA_FILTER. */
export const CTA_FILTER_ORIG_FLAGS = 1;
export const CTA_FILTER_REPLY_FLAGS = 2;

/** The parts of CTA_TUPLE_ORIG that the filter compares (`net/netfilter/nf_internals.h`). */
export const CTA_FILTER_F_CTA_IP_DST = 1 << 1;
export const CTA_FILTER_F_CTA_PROTO_NUM = 1 << 3;
export const CTA_FILTER_F_CTA_PROTO_DST_PORT = 1 << 5;

export const AF_INET = 2;
export const AF_INET6 = 10;
