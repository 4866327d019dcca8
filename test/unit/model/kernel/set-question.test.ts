import { expect, test } from "vitest";
import { type TestedMember, testedMember } from "../../../../src/model/kernel/set-question.ts";
import { address } from "../../../support/objects/desired.ts";

const [first, second] = [address("10.0.0.1"), address("10.0.0.2")];
const question = {
  set: "any",
  ends: [
    { address: first, port: 1 },
    { address: second, port: 2 },
    { address: first, port: 1 },
  ],
  protocol: "TCP" as const,
};

test.each<[string, Omit<TestedMember, "protocol"> | undefined]>([
  ["hash:ip", { address: first }],
  ["hash:net", { address: first }],
  ["bitmap:ip", { address: first }],
  ["bitmap:port", { port: 1 }],
  ["hash:ip,port", { address: first, port: 2 }],
  ["hash:ip,port,net", { address: first, port: 2, second: first }],
  ["hash:net,net", { address: first, second }],
  ["hash:net,iface", undefined],
  ["hash:mac", undefined],
  ["hash:ip,mark", undefined],
  ["list:set", undefined],
])("a packet is looked for in a set of type %s by %j", (type, member) => {
  expect(testedMember(type, question)).toEqual(member && { ...member, protocol: "TCP" });
});

test("a set with more parts than the rule has directions cannot be tested", () => {
  expect(testedMember("hash:ip,port", { ...question, ends: question.ends.slice(0, 1) })).toBeUndefined();
});
