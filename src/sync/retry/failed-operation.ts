import { familyOf } from "../../model/address.ts";
import type { ServiceName } from "../../model/cluster/service.ts";
import type { Errno } from "../../model/kernel/errno.ts";
import type { SetType } from "../../model/kernel/ipset.ts";
import type { Scheduler } from "../../model/kernel/ipvs.ts";
import { describeOperation, type Operation, type OperationKind } from "../../model/kernel/operation.ts";
import type { VipBinding } from "../../model/vip-binding.ts";

/** An operation that the kernel refused and that is tried again. Times are of `Clock.now`. */
export interface FailedOperation {
  readonly operation: Operation;
  readonly errno: Errno;
  /** The kernel's own explanation; mostly "". */
  readonly text: string;
  /** Since when the object of the operation is refused, whatever the reasons. */
  readonly sinceMs: number;
  /** Attempts in a row that failed. */
  readonly attempts: number;
  /** At most three Services that need the object; empty if it belongs to the node or is not desired any more. */
  readonly services: readonly ServiceName[];
}

const VERBS: Readonly<Record<OperationKind, string>> = {
  "add-virtual-server": "add",
  "update-virtual-server": "update",
  "delete-virtual-server": "delete",
  "add-real-server": "add",
  "update-real-server": "update",
  "delete-real-server": "delete",
  "bind-address": "bind",
  "unbind-address": "unbind",
  "add-entry": "add",
  "delete-entry": "delete",
  "forget-flows": "remove",
};

/** The failure in one sentence, with cause and cure where they are known. Names the object and nothing secret. */
export function describeFailure({
  operation,
  errno,
  text,
}: Pick<FailedOperation, "operation" | "errno" | "text">): string {
  const refusal = `Cannot ${VERBS[operation.kind]} ${describeOperation(operation)}: ${errno}${text === "" ? "" : ` (${text})`}`;
  const explanation = explain(operation, errno);
  return explanation === undefined ? refusal : `${refusal}: ${explanation}`;
}

/**
 * The scheduler that this kernel neither has nor finds a module for, if that is the cause. To a virtual server the kernel
 * answers ENOENT only for its scheduler: one that is not there itself is ESRCH.
 */
export function missingScheduler({
  operation,
  errno,
}: Pick<FailedOperation, "operation" | "errno">): Scheduler | undefined {
  const { kind } = operation;
  if (errno !== "ENOENT" || (kind !== "add-virtual-server" && kind !== "update-virtual-server")) return undefined;
  return operation.server.scheduler;
}

/** What the kernel means by an errno, and what to do; undefined where no single cause is known. */
function explain(operation: Operation, errno: Errno): string | undefined {
  const scheduler = missingScheduler({ operation, errno });
  // ip_vs_scheduler_get has tried to load the module before.
  if (scheduler !== undefined)
    return `the kernel has no scheduler "${scheduler}": run "modprobe ip_vs_${scheduler}" on the node`;
  switch (operation.kind) {
    case "add-virtual-server":
      return SERVER[errno] ?? ANYWHERE[errno];
    case "add-real-server":
      return REAL_SERVER[errno] ?? ANYWHERE[errno];
    case "bind-address":
      return (
        (familyOf(operation.address) === "IPv6" ? IPV6_VIP[operation.binding][errno] : undefined) ?? ANYWHERE[errno]
      );
    case "add-entry":
      return entryRefusal(operation.entry.set.type, errno) ?? ANYWHERE[errno];
    case "update-virtual-server":
    case "delete-virtual-server":
    case "update-real-server":
    case "delete-real-server":
    case "unbind-address":
    case "delete-entry":
    case "forget-flows":
      return ANYWHERE[errno];
  }
}

type Explanations = Readonly<Partial<Record<Errno, string>>>;

/** Errno that mean the same whatever was to be done. */
const ANYWHERE: Explanations = {
  // rtnetlink_rcv_msg, nfnetlink_rcv and genl_family_rcv_msg require it in the user namespace of the network namespace.
  EPERM: "the process lacks CAP_NET_ADMIN: add the capability NET_ADMIN to the container",
  // inet_alloc_ifa and ipv6_add_addr give ENOBUFS, IPVS and ipset ENOMEM.
  ENOBUFS: "the kernel has no memory: free memory on the node",
  ENOMEM: "the kernel has no memory: free memory on the node",
};

const SERVER: Explanations = {
  // ip_vs_genl_parse_service.
  EAFNOSUPPORT: "IPVS of this kernel is built without IPv6: use a kernel with CONFIG_IP_VS_IPV6",
};

const REAL_SERVER: Explanations = {
  // ip_vs_new_dest takes unicast addresses and those of the node, of IPv6 no link-local address.
  EINVAL: "the address is broadcast, multicast or link-local: correct the EndpointSlice",
};

const IPV6_VIP: Readonly<Record<VipBinding, Explanations>> = {
  address: {
    // addrconf_add_dev. A new interface has the value of net/ipv6/conf/default/disable_ipv6.
    EACCES: "net/ipv6/conf/kube-ipvs0/disable_ipv6 is 1: set it to 0, or delete the pod, its init container sets it",
  },
  // fib6_nh_init.
  route: {
    EACCES: "net/ipv6/conf/lo/disable_ipv6 is 1: set it to 0, or use --vip-binding=address",
    ENETDOWN: 'the interface lo is down: run "ip link set lo up" on the node',
  },
};

function entryRefusal(type: SetType, errno: Errno): string | undefined {
  switch (errno) {
    case "IPSET_ERR_HASH_FULL":
      return "the set is full and the kernel refuses a larger one: free memory on the node";
    case "IPSET_ERR_TYPE_MISMATCH":
      return "the set has another type and is in use by iptables rules of others: remove these rules";
    case "IPSET_ERR_FIND_TYPE":
      // "hash:ip,port" is ip_set_hash_ipport.
      return `the kernel has no sets of this type: run "modprobe ip_set_${type.replace(":", "_").replaceAll(",", "")}" on the node`;
    default:
      return undefined;
  }
}
