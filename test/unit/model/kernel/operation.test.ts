import { expect, test } from "vitest";
import { inSafeOrder } from "../../../../src/model/kernel/operation.ts";
import { parseMeddling } from "../../../support/worlds/meddle.ts";

const SAFE = `
entry del KUBE-LOCAL-MARK 192.0.2.1,tcp:80 skbmark 0x5/0x1fff
entry add KUBE-LOAD-BALANCER-SOURCE-CIDR 192.0.2.1,tcp:80,198.51.100.0/24
entry add KUBE-LOAD-BALANCER-FW 192.0.2.1,tcp:80
-A -f 6
-E -t 192.0.2.1:81
-a -f 6 -r 10.244.0.5:80
-e -f 5 -r 10.244.0.6:80 -w 0
address add 192.0.2.1
address del 192.0.2.2
-d -t 192.0.2.1:81 -r 10.244.0.6:80
entry add KUBE-LOCAL-MARK 192.0.2.1,tcp:80 skbmark 0x6/0x1fff
-D -t 192.0.2.2:80
entry del KUBE-LOAD-BALANCER-FW 192.0.2.2,tcp:80
entry del KUBE-LOAD-BALANCER-SOURCE-CIDR 192.0.2.2,tcp:80,198.51.100.0/24
`;

test("an object that others need is added first and deleted last, a mark is added late and deleted first", () => {
  const safe = parseMeddling(SAFE);
  expect(inSafeOrder(safe.toReversed())).toEqual(safe);
});

test("operations of one rank keep their order", () => {
  const given = parseMeddling("address add 10.0.0.2\naddress add 10.0.0.1\naddress add 10.0.0.3");
  expect(inSafeOrder(given)).toEqual(given);
});
