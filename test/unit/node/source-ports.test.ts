import fc from "fast-check";
import { expect, test } from "vitest";
import { parsePortRanges } from "../../../src/model/port-range.ts";
import { describeSourcePorts } from "../../../src/node/source-ports.ts";

const CHOSEN = "32768\t60999";
const describe = (reserved: string, nodePorts: readonly number[]) =>
  describeSourcePorts({ chosen: parsePortRanges(CHOSEN), reserved: parsePortRanges(reserved) }, nodePorts)[0];

test.each([
  ["none", "", [], undefined],
  ["below the range of Linux", "", [30_000, 32_767], undefined],
  ["above the range", "", [61_000], undefined],
  ["within the range", "", [30_000, 40_001, 40_000], "40000-40001"],
  ["at both ends of the range", "", [60_999, 32_768], "32768-60999"],
  ["within the range and reserved", "39999-40001", [40_000], undefined],
  ["within the range, and some are reserved", "80,39999-40001", [40_000, 40_002], "80,39999-40001,40002"],
])("the warning about NodePorts that are source ports: %s", (_, reserved, nodePorts, cure) => {
  const text = describe(reserved, nodePorts);
  if (cure === undefined) expect(text).toBeUndefined();
  else
    expect(text).toMatch(new RegExp(`net/ipv4/ip_local_port_range is 32768-60999.*ip_local_reserved_ports=${cure}$`));
});

test("no warning is left after the ports of the warning are reserved", () => {
  const ports = fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 20 });
  fc.assert(
    fc.property(ports, ports, (reserved, nodePorts) => {
      const cure = /reserved_ports=(.*)$/.exec(describe(reserved.join(), nodePorts) ?? "")?.[1];
      if (cure === undefined) {
        const open = nodePorts.filter((port) => port >= 32_768 && port <= 60_999 && !reserved.includes(port));
        expect(open).toEqual([]);
      } else expect(describe(cure, nodePorts)).toBeUndefined();
    }),
  );
});
