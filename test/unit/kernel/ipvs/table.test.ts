import { expect, test } from "vitest";
import { tableRows } from "../../../../src/kernel/ipvs/table.ts";

const HEADING = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`;

/** Output of Linux 6.1, with connections. */
const TABLE = `${HEADING}UDP  0A60000A:0035 rr ops  
TCP  0A600003:01BB rr  
  -> 0AF40105:20FB      Masq    1      3          12        
  -> 0AF4FF06:FFFF      Tunnel  0      0          0         
SCTP  0A60000A:0035 sh  persistent 6000 FFFFFFFF
TCP  [fd00:0096:0000:0000:0000:0000:0000:000a]:0050 mh persistent 1080000 80000000
  -> [fd00:0244:0000:0000:0000:0000:0000:0006]:1F90      Route   100    0          0         
FWM  00000007 rr 
  -> 0AF40105:20FB      Local   1      0          0         
FWM  00000007 rr 
  -> 0AF40105:20FB      Masq    1      0          0         
FWM  FFFFFFFF rr ops 
  -> [fd00:0244:0000:0000:0000:0000:0000:0006]:1F90      Masq    1      0          0         
FWM  00000008 rr 
`;

/** In pieces of this length, all in one reused buffer. */
function* inPieces(text: string, length: number): Generator<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let at = 0; at < text.length; at += length) yield buffer.subarray(0, buffer.write(text.slice(at, at + length)));
}

const inShort = (text: string, pieceLength = 65_536) =>
  [...tableRows(inPieces(text, pieceLength))].map(({ keys, reals }) => [
    keys.join(),
    ...reals.map(
      ({ real, active, inactive }) =>
        `${real.key} ${real.address} ${real.port} ${real.forwarding} ${real.weight} ${active} ${inactive}`,
    ),
  ]);

test("every virtual server of the table is read with its real servers", () => {
  expect(inShort(TABLE)).toEqual([
    ["UDP/10.96.0.10:53"],
    [
      "TCP/10.96.0.3:443",
      "10.244.1.5:8443 10.244.1.5 8443 masquerade 1 3 12",
      "10.244.255.6:65535 10.244.255.6 65535 tunnel 0 0 0",
    ],
    ["SCTP/10.96.0.10:53"],
    ["TCP/[fd00:96::a]:80", "[fd00:244::6]:8080 fd00:244::6 8080 direct 100 0 0"],
    // Only a masqueraded real server shows its family.
    ["FWM/IPv4/7,FWM/IPv6/7", "10.244.1.5:8443 10.244.1.5 8443 local 1 0 0"],
    ["FWM/IPv4/7", "10.244.1.5:8443 10.244.1.5 8443 masquerade 1 0 0"],
    ["FWM/IPv6/4294967295", "[fd00:244::6]:8080 fd00:244::6 8080 masquerade 1 0 0"],
    ["FWM/IPv4/8,FWM/IPv6/8"],
  ]);
});

test.each([1, 7, 64, 100])("a table in pieces of %i bytes is read as the same", (length) => {
  expect(inShort(TABLE, length)).toEqual(inShort(TABLE));
});

// Tables that grow (7.1) have no buckets while they are empty: 7.2 and 7.3 print 0 and then 256; earlier kernels 4096.
test.each(["0", "256", "4096", "4294967295"])("a table of %s buckets reads the same", (size) => {
  expect(inShort(TABLE.replace("size=4096", `size=${size}`))).toEqual(inShort(TABLE));
});

test.each([
  ["an empty file", ""],
  ["a heading alone", HEADING],
])("a table of %s has no rows", (_, text) => {
  expect(inShort(text)).toEqual([]);
});

test.each([
  ["a line cut off", "TCP  0A600003:01BB rr"],
  ["an unknown word for forwarding", "TCP  0A600003:01BB rr  \n  -> 0AF40105:20FB      Teleport 1 0 0\n"],
  ["a short address", "TCP  0A6003:01BB rr  \n"],
  ["an address of no family", "TCP  [fd00:0096]:0050 rr \n"],
  ["a mark that is none", "FWM  7 rr  \n"],
  ["a protocol of the future", "QUIC  0A600003:01BB rr  \n"],
  ["a count that is none", "TCP  0A600003:01BB rr  \n  -> 0AF40105:20FB      Masq    1      x          0         \n"],
])("a table with %s is reported as unreadable, not skipped", (_, lines) => {
  expect(() => inShort(HEADING + lines)).toThrow(/Cannot read a line of \/proc\/net\/ip_vs/);
});
