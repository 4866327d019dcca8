import { describe, expect, test } from "vitest";
import type { PortSpec } from "../../../support/objects/builders.ts";
import { decoded, portsOf } from "../../../support/objects/decoded-service.ts";

describe("ports: a wrong one is left out and the others stay", () => {
  const good = { name: "good", port: 443 };
  test.each<[string, PortSpec, string]>([
    [
      "number too large",
      { name: "bad", port: 65536 },
      "spec.ports[0].port=65536: must be a whole number from 1 to 65535",
    ],
    ["number 0", { name: "bad", port: 0 }, "spec.ports[0].port=0: must be a whole number from 1 to 65535"],
    ["number as text", { name: "bad", port: "80" }, "spec.ports[0].port=80: must be a whole number from 1 to 65535"],
    ["no number", { name: "bad" }, "spec.ports[0].port=: is missing"],
    [
      "unknown protocol",
      { name: "bad", port: 80, protocol: "ICMP" },
      "spec.ports[0].protocol=ICMP: must be one of TCP, UDP, SCTP",
    ],
    [
      "name with a slash",
      { name: "a/b", port: 80 },
      "spec.ports[0].name=a/b: must be a DNS label: lower case letters, digits and dashes",
    ],
  ])("%s", (_, bad, fault) => {
    expect(portsOf([bad, good])).toEqual({ ports: ["good/TCP 443"], faults: [fault] });
  });

  test("one that is no object", () => {
    const { value, faults } = decoded({ spec: { ports: ["80", good] } });
    expect(value.ports.map((port) => port.key)).toEqual(["good/TCP"]);
    expect(faults).toEqual(["spec.ports[0]=80: must be an object"]);
  });
});

describe("of two ports that clash the first stays", () => {
  test.each<[string, readonly PortSpec[], readonly string[], readonly string[]]>([
    [
      "one name",
      [
        { name: "a", port: 80 },
        { name: "a", port: 81 },
      ],
      ["a/TCP 80"],
      ["spec.ports[1].name=a: is already used by an earlier TCP port"],
    ],
    ["no name", [80, 81], ["/TCP 80"], ["spec.ports[1].name=: is already used by an earlier TCP port"]],
    [
      "one number",
      [
        { name: "a", port: 80 },
        { name: "b", port: 80 },
      ],
      ["a/TCP 80"],
      ["spec.ports[1].port=80: is already used by an earlier TCP port"],
    ],
    [
      "one number of two protocols is no clash",
      [
        { name: "a", port: 53 },
        { name: "a", port: 53, protocol: "UDP" },
      ],
      ["a/TCP 53", "a/UDP 53"],
      [],
    ],
    [
      "one node port: the second port goes on without",
      [
        { name: "a", port: 80, nodePort: 30080 },
        { name: "b", port: 81, nodePort: 30080 },
      ],
      ["a/TCP 80@30080", "b/TCP 81"],
      ["spec.ports[1].nodePort=30080: is already used by an earlier TCP port"],
    ],
    [
      "one node port of two protocols is no clash",
      [
        { name: "a", port: 53, nodePort: 30053 },
        { name: "a", port: 53, protocol: "UDP", nodePort: 30053 },
      ],
      ["a/TCP 53@30053", "a/UDP 53@30053"],
      [],
    ],
  ])("%s", (_, said, ports, faults) => {
    expect(portsOf(said)).toEqual({ ports, faults });
  });
});

test("a wrong node port leaves the port itself alone", () => {
  const faults = ["spec.ports[0].nodePort=70000: must be a whole number from 0 to 65535"];
  expect(portsOf([{ port: 80, nodePort: 70000 }])).toEqual({ ports: ["/TCP 80"], faults });
});
