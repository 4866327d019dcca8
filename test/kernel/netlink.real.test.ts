import { describe } from "vitest";
import { NetlinkKernel } from "../../src/kernel/netlink-kernel.ts";
import { kernelContract } from "./contract.ts";

// The contract knows no rules, and without chains to remove no iptables is started.
describe("NetlinkKernel", () => kernelContract(() => new NetlinkKernel({ chains: {} })));
