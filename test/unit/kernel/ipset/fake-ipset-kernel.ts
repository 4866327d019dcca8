import type { OpenRawSocket } from "../../../../src/kernel/netlink/raw-socket.ts";
import * as naive from "../../../support/netlink/naive-netlink.ts";

/** A set of the fake kernel. Members are the bytes of their attributes without the line, as hex. */
export interface FakeSet {
  type: string;
  family: number;
  /** Flags of the extensions its members have. */
  extensions: number;
  maxElements: number;
  hashSize: number;
  /** The maximum of members besides maxElements: by memory, or by the range of a set of ports. */
  room: number;
  /** Rules that refer to it. */
  references: number;
  readonly members: Map<string, naive.Bytes>;
}

interface Attribute {
  readonly type: number;
  readonly value: naive.Bytes;
}

const number = (bytes: naive.Bytes): number => bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
const bigEndian = (bytes: naive.Bytes): number => number([...bytes].reverse());
const text = (bytes: naive.Bytes): string => Buffer.from(bytes.slice(0, -1)).toString("latin1");

function attributes(bytes: naive.Bytes): readonly Attribute[] {
  const found: Attribute[] = [];
  let left = [...bytes];
  while (left.length > 0) {
    const length = number(left.slice(0, 2));
    found.push({ type: number(left.slice(2, 4)) & 0x3fff, value: left.slice(4, length) });
    left = left.slice((length + 3) & ~3);
  }
  return found;
}

/** ip_set_core.c in small: the rules of CREATE, DESTROY, SWAP, LIST, ADD and DEL, and their numbers. */
export class FakeIPSetKernel {
  readonly sets = new Map<string, FakeSet>();
  /** Tables of nf_tables, as "2 kube-proxy": family and name. */
  readonly tables = new Set<string>();
  /** Kernels from 4.20 on speak 7. */
  versions: { readonly highest: number; readonly lowest: number } = { highest: 7, lowest: 6 };
  /** Every request of this command (2 is CREATE, 6 SWAP) fails with this number. */
  readonly refuse = new Map<number, number>();
  /** The commands of the messages sent, in order. */
  readonly commands: number[] = [];
  /** Sets whose listing was requested and has not arrived: they are not swapped. */
  readonly #listing = new Set<string>();

  set(name: string, set: Partial<FakeSet>): FakeSet {
    const made = {
      type: "hash:ip",
      family: 2,
      extensions: 0,
      maxElements: 65_536,
      hashSize: 1024,
      room: Number.POSITIVE_INFINITY,
      references: 0,
      members: new Map(),
      ...set,
    };
    this.sets.set(name, made);
    return made;
  }

  /** How a request of ours opens a socket to this kernel. `messageBytes` cuts answers as a short buffer does. */
  readonly open: OpenRawSocket = ({ messageBytes }, listener) => ({
    receiveBufferBytes: 425_984,
    send: (bytes) => {
      const answers = naive.split(bytes).flatMap((request) => this.#answer(request));
      // A turn of the event loop for each.
      const deliver = (): void => {
        const answer = answers.shift();
        if (answer === undefined) return;
        if (naive.split(answer).some(({ type }) => type === 3)) this.#listing.clear();
        const datagram = Uint8Array.from(answer);
        listener.message(datagram.subarray(0, messageBytes), datagram.length > messageBytes ? datagram.length : 0);
        setImmediate(deliver);
      };
      setImmediate(deliver);
    },
    close: () => undefined,
  });

  /** GETTABLE and DELTABLE of nf_tables, which shares the socket protocol. */
  #answerAboutTable(request: naive.NaiveMessage): naive.Bytes[] {
    const [family = 0] = request.body;
    const key = `${family} ${text(attributes(request.body.slice(4))[0]?.value ?? [])}`;
    if (!this.tables.has(key)) return [naive.acknowledgement(request, 2)];
    if ((request.type & 0xff) === 1) return [naive.message(10 << 8, 0, request.sequence, [family, 0, 0, 0])];
    this.tables.delete(key);
    return [naive.acknowledgement(request, 0)];
  }

  /** What was tested, and the answers by the names of sets: 0, or an error number; by default that there is no such member. */
  readonly tested: { readonly name: string; readonly data: naive.Bytes }[] = [];
  readonly testAnswers = new Map<string, number>();

  /** Datagrams. */
  #answer(request: naive.NaiveMessage): naive.Bytes[] {
    if (request.type >> 8 === 10) return this.#answerAboutTable(request);
    // Conntrack, which has no flows.
    if (request.type >> 8 === 1) return [naive.done(request)];
    if (request.type >> 8 === 0) return [];
    const command = request.type & 0xff;
    this.commands.push(command);
    const all = attributes(request.body.slice(4));
    const one = (type: number): naive.Bytes => all.find((attribute) => attribute.type === type)?.value ?? [];
    const reply = (flags: number, ...body: naive.Bytes[]) =>
      naive.message(request.type, flags, request.sequence, [2, 0, 0, 0], naive.attribute(1, [6]), ...body);
    const verdict = (errno: number) =>
      errno !== 0 || (request.flags & 4) !== 0 ? [naive.acknowledgement(request, errno)] : [];
    const refused = this.refuse.get(command);
    if (refused !== undefined) return verdict(refused);
    const name = text(one(2));
    switch (command) {
      case 1: {
        const { highest, lowest } = this.versions;
        const versions = [naive.attribute(1, [highest]), naive.attribute(10, [lowest])];
        return [naive.message(request.type, 0, request.sequence, [2, 0, 0, 0], ...versions), ...verdict(0)];
      }
      case 2:
        return verdict(this.#create(name, text(one(3)), one(5)[0] ?? 0, attributes(one(7))));
      case 3:
        return verdict(this.#destroy(name));
      case 6:
        return verdict(this.#swap(name, text(one(3))));
      case 7:
        if (name !== "" && !this.sets.has(name)) return [naive.acknowledgement(request, 2)];
        this.#listing.add(name);
        return [...this.#list(name, (bigEndian(one(6)) & 4) !== 0, reply), naive.done(request)];
      case 11:
        this.tested.push({ name, data: [...one(7)] });
        return verdict(this.testAnswers.get(name) ?? 4103);
      case 9:
      case 10:
        return this.#change(request, command === 9, name, attributes(one(8)), verdict);
      default:
        return verdict(95);
    }
  }

  #create(name: string, type: string, family: number, data: readonly Attribute[]): number {
    if (this.sets.has(name)) return 17;
    const size = (attribute: number) => bigEndian(data.find((one) => one.type === attribute)?.value ?? []);
    this.set(name, { type, family, hashSize: size(18), maxElements: size(19), extensions: size(8) });
    return 0;
  }

  #destroy(name: string): number {
    const set = this.sets.get(name);
    if (set === undefined) return 2;
    if (set.references > 0) return 4100;
    this.sets.delete(name);
    return 0;
  }

  #swap(a: string, b: string): number {
    const [one, other] = [this.sets.get(a), this.sets.get(b)];
    if (one === undefined || other === undefined) return 2;
    if (this.#listing.has(a) || this.#listing.has(b)) return 16;
    if (one.type !== other.type || one.family !== other.family) return 4102;
    [one.references, other.references] = [other.references, one.references];
    this.sets.set(a, other).set(b, one);
    return 0;
  }

  #list(
    name: string,
    headersOnly: boolean,
    reply: (flags: number, ...body: naive.Bytes[]) => naive.Bytes,
  ): naive.Bytes[] {
    return [...this.sets].flatMap(([each, set]) => {
      if (name !== "" && name !== each) return [];
      const size = [
        naive.attribute(18 + 0x4000, naive.be32(set.hashSize)),
        naive.attribute(19 + 0x4000, naive.be32(set.maxElements)),
        naive.attribute(24 + 0x4000, naive.be32(set.members.size)),
        ...(set.extensions === 0 ? [] : [naive.attribute(8 + 0x4000, naive.be32(set.extensions))]),
      ];
      const header = [
        naive.attribute(2, naive.text(each)),
        naive.attribute(3, naive.text(set.type)),
        naive.attribute(5, [set.family]),
        naive.attribute(4, [1]),
        naive.nested(7, ...size),
      ];
      if (headersOnly) return [reply(2, ...header)];
      const members = [...set.members.values()].map((member) => naive.nested(7, member));
      const rest: naive.Bytes[] = [];
      // Two members a part, so that every test with three reads more than one.
      for (let at = 2; at < members.length; at += 2) {
        rest.push(reply(2, naive.attribute(2, naive.text(each)), naive.nested(8, ...members.slice(at, at + 2))));
      }
      return [reply(2, ...header, naive.nested(8, ...members.slice(0, 2))), ...rest];
    });
  }

  #change(
    request: naive.NaiveMessage,
    add: boolean,
    name: string,
    entries: readonly Attribute[],
    verdict: (errno: number) => naive.Bytes[],
  ): naive.Bytes[] {
    const set = this.sets.get(name);
    if (set === undefined) return verdict(2);
    for (const { value } of entries) {
      const parts = attributes(value);
      const line = number(parts.find(({ type }) => type === 9)?.value ?? []);
      const member = parts
        .filter(({ type }) => type !== 9)
        .flatMap(({ type, value }) => {
          const flag = type === 1 || type === 20 ? 0x8000 : 0;
          return naive.attribute(type + flag, value);
        });
      const errno = this.#changeOne(set, add, member);
      if (errno !== 0) return [naive.acknowledgement(withLine(request, line), errno)];
    }
    return verdict(0);
  }

  #changeOne(set: FakeSet, add: boolean, member: naive.Bytes): number {
    const key = Buffer.from(member).toString("hex");
    if (set.members.has(key) === add) return 4103;
    if (!add) set.members.delete(key);
    else if (set.members.size >= set.room) return 4352;
    else if (set.members.size >= set.maxElements && set.type !== "bitmap:port") return 4352;
    else set.members.set(key, member);
    return 0;
  }
}

/** The request with the line of the failing entry in its own IPSET_ATTR_LINENO, wherever that is. */
function withLine(request: naive.NaiveMessage, line: number): naive.NaiveMessage {
  const whole = [...request.whole];
  for (let at = 20; at < whole.length; at += (number(whole.slice(at, at + 2)) + 3) & ~3) {
    if (number(whole.slice(at + 2, at + 4)) === 9) whole.splice(at + 4, 4, ...naive.u32(line));
  }
  return { ...request, whole };
}
