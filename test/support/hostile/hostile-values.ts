import { below, oneOf, type Random } from "./random.ts";

/*
 * Values that somebody may write into an object of the API or a manifest who wants to break what reads it. All follow from the
 * random numbers.
 */

const NUMBERS = [0, -0, -1, 1.5, 80, 30_000, 65_535, 65_536, 2 ** 31, 2 ** 53, 1e308, -1e308, Number.NaN, -Infinity];

const WORDS = [
  ..."None,null,NaN,true,0,-1,1e3,0x50,80,65536,ClientIP,Local,Cluster,LoadBalancer,ExternalName,TCP,SCTP,tcp".split(
    ",",
  ),
  ..."IPv4,IPv6,FQDN,VIP,Proxy,InternalIP,a,web,shop/web,../..,a.b,-a,a-,A".split(","),
  ..."__proto__,constructor,toString,hasOwnProperty,valueOf,length".split(","),
  "",
  " ",
  "\n",
  "\0",
  "\u001b[31m",
  "\u202eabc",
  "\u2028",
  "\ud800",
  "é",
  "漢字",
  "👩‍👩‍👧",
  "١٢",
];

/** Addresses in every odd spelling, and what only looks like one. */
const ADDRESSES = [
  "10.0.0.1",
  "010.000.0.01",
  " 10.0.0.1",
  "10.0.0.1\n",
  "10.0.0",
  "10.1",
  "167772161",
  "0x0a.0.0.1",
  "256.0.0.1",
  "10.0.0.1.",
  "１０.0.0.1",
  "10.0.0.1:80",
  "0.0.0.0",
  "127.0.0.1",
  "169.254.169.254",
  "224.0.0.1",
  "239.255.255.255",
  "255.255.255.255",
  "fd00::1",
  "FD00:0:0:0:0:0:0:1",
  "fd00:0000::0001",
  "[fd00::1]",
  "fd00::1%eth0",
  "fd00::1::2",
  ":::",
  "1:2:3:4:5:6:7:8:9",
  "::",
  "0:0:0:0:0:0:0:0",
  "::1",
  "::127.0.0.1",
  "::ffff:10.0.0.1",
  "::FFFF:7f00:1",
  "::ffff:0:10.0.0.1",
  "64:ff9b::1.2.3.4",
  "fe80::1",
  "FEBF::1",
  "ff02::1",
  "2001:db8::1:0:0:1",
];

const NETWORKS = [
  "10.1.2.3/8",
  "10.0.0.0/33",
  "10.0.0.0/-1",
  "10.0.0.0/08",
  "10.0.0.0/ 8",
  "10.0.0.0/8/8",
  "/8",
  "10.0.0.0/",
  "0.0.0.0/0",
  "FD00::1/64",
  "::/0",
  "fd00::/129",
  "::ffff:10.0.0.0/104",
  "10.0.0.0/8,192.0.2.0/24",
];

/** For annotations: schedulers, flags, durations, weights, times. */
const CHOICES = [
  ..."rr,mh,sh,RR,rr ,constructor,mh-port,sh-port sh-fallback".split(","),
  "mh-port,mh-fallback",
  "mh-port,,",
  ..."true,TRUE,yes,30s,1h15m,-1s,0,1e3s,.s,1.5.5s,99999999h,µs,9007199254740993ns".split(","),
  "10.0.0.1=3",
  "10.0.0.1=3,10.0.0.1=4",
  "10.0.0.1=65536",
  "fd00::1=0,=,,x=1",
  "10.0.0.1=-0",
  "2026-01-02T03:04:05Z",
  "2026-13-42T03:04:05Z",
  "0000-01-01T00:00:00+23:59",
  "9999-12-31T23:59:59.999999999-23:59",
];

const KEYS = [
  ..."__proto__,constructor,prototype,toString,hasOwnProperty,toJSON,length,name,port,ip,address,addresses".split(","),
  "",
  "\u0000",
  "\ud800",
  "kube-ipvs.io/",
  "kube-ipvs.io/scheduler",
  "kube-ipvs.io/scheduler-flags",
  "kube-ipvs.io/one-packet",
  "kube-ipvs.io/drain-timeout",
  "kube-ipvs.io/weights",
  "kube-ipvs.io/__proto__",
  "kube-router.io/service.scheduler",
  "service.beta.kubernetes.io/load-balancer-source-ranges",
  "service.kubernetes.io/service-proxy-name",
  "service.kubernetes.io/headless",
  "topology.kubernetes.io/zone",
];

/** Now and then one that may cost more than it is long. */
const LONG = [
  "a",
  "1",
  ".",
  ":",
  "0.",
  "::",
  "1:",
  "-",
  "=",
  ",",
  "1=",
  "s",
  "1s",
  "/",
  " ",
  "\u202e",
  "a.",
  "\n",
  "[",
];

/** The key of a field. */
export function hostileKey(random: Random): string {
  return random() < 0.95 ? oneOf(KEYS, random) : hostileText(random);
}

/** Any text. */
export function hostileText(random: Random): string {
  const kind = random();
  if (kind < 0.25) return oneOf(WORDS, random);
  if (kind < 0.5) return oneOf(ADDRESSES, random);
  if (kind < 0.6) return anyAddress(random);
  if (kind < 0.7) return oneOf(NETWORKS, random);
  if (kind < 0.9) return oneOf(CHOICES, random);
  if (kind < 0.995)
    return String.fromCharCode(...Array.from({ length: below(12, random) }, () => below(1_024, random)));
  return oneOf(LONG, random).repeat(2 ** below(15, random));
}

/** Of either family, in one of the ways in which it can be written. */
function anyAddress(random: Random): string {
  if (random() < 0.5) return Array.from({ length: 4 }, () => below(256, random)).join(".");
  const groups = Array.from({ length: 8 }, () => (random() < 0.5 ? "0" : below(65_536, random).toString(16)));
  const text = groups.join(":").replace(random() < 0.5 ? /(^|:)0(:0)+(:|$)/ : /$^/, "::");
  return random() < 0.5 ? text : text.toUpperCase();
}

export function hostileNumber(random: Random): number {
  return oneOf(NUMBERS, random);
}

/** Any value that JSON or YAML can hold. */
export function hostileValue(random: Random, depth = 0): unknown {
  const kind = random();
  if (kind < 0.1) return null;
  if (kind < 0.15) return random() < 0.5;
  if (kind < 0.35) return hostileNumber(random);
  if (kind < 0.8 || depth > 3) return hostileText(random);
  if (kind < 0.88) return hostileObject(random, depth);
  if (kind < 0.995) return Array.from({ length: below(5, random) }, () => hostileValue(random, depth + 1));
  return random() < 0.5 ? nested(2 ** below(11, random)) : many(2 ** below(11, random), random);
}

/** Keys that stand for something in JavaScript become fields as any other, as JSON.parse makes them. */
function hostileObject(random: Random, depth: number): object {
  const fields = Array.from({ length: below(4, random) }, () => [hostileKey(random), hostileValue(random, depth + 1)]);
  return Object.fromEntries(fields);
}

function nested(depth: number): unknown {
  let value: unknown = [];
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { items: value };
  return value;
}

function many(count: number, random: Random): unknown {
  const value = hostileValue(random, 3);
  return Array.from({ length: count }, () => value);
}
