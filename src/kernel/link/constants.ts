/* Names and numbers of linux/rtnetlink.h, if_link.h and if_addr.h. */

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

export const IFINFOMSG_BYTES = 16;
export const IFLA_IFNAME = 3;
export const IFLA_LINKINFO = 18;
export const IFLA_INFO_KIND = 1;

export const IFADDRMSG_BYTES = 8;
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_CACHEINFO = 6;
export const IFA_CACHEINFO_BYTES = 16;
/** An unlimited lifetime. */
export const INFINITY_LIFE_TIME = 0xffff_ffff;

/** No duplicate address detection: other nodes may have the same virtual address. */
export const IFA_F_NODAD = 0x02;
/** With TENTATIVE: the address is in use during its check for duplicates (RFC 4429). */
export const IFA_F_OPTIMISTIC = 0x04;

/** Not a source of new connections if the node has another address. */
export const IFA_F_DEPRECATED = 0x20;

/** Linux checks the address for duplicates, or found one. */
export const IFA_F_TENTATIVE = 0x40;

export const RT_SCOPE_UNIVERSE = 0;

export const AF_INET = 2;
export const AF_INET6 = 10;
