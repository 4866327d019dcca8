import { describe } from "vitest";
import { MemoryKernel } from "../../src/kernel/memory-kernel.ts";
import { kernelContract } from "./contract.ts";

describe("MemoryKernel", () => kernelContract(() => new MemoryKernel()));
