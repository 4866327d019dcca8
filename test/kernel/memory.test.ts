import { describe } from "vitest";
import { MemoryKernel } from "../support/memory-kernel/memory-kernel.ts";
import { kernelContract } from "./contract.ts";
import { type FlowTable, flowContract } from "./flow-contract.ts";

describe("MemoryKernel", () => {
  kernelContract(() => new MemoryKernel());

  flowContract(async () => {
    const kernel = new MemoryKernel();
    const flows: FlowTable = {
      add: async (added) => {
        for (const flow of added) kernel.addFlow(flow);
      },
      list: async () => kernel.flows(),
    };
    return { kernel, flows };
  });
});
