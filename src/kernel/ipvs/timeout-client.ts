import type { IpvsTimeout, StepReport } from "../kernel.ts";
import { NetlinkError } from "../netlink/error.ts";
import { DEFAULT_REPLY, NO_REPLY } from "../netlink/receive-buffer.ts";
import type { NetlinkSocket } from "../netlink/socket.ts";
import { decodeTimeouts, encodeGetTimeouts, encodeSetTimeout, type IpvsTimeouts } from "./timeout-codec.ts";

/** A timeout that differs: the desired value and the actual value. */
interface Difference {
  readonly wanted: IpvsTimeout;
  readonly seconds: number | undefined;
}

/** Reads and sets how long IPVS keeps idle connections in this network namespace. */
export class TimeoutClient {
  readonly #commands: NetlinkSocket;

  /** `commands` is a generic netlink socket for requests. */
  constructor(commands: NetlinkSocket) {
    this.#commands = commands;
  }

  /** Sets the timeouts that differ, reads them back and reports the changes; a refusal is a warning. */
  async apply(family: number, wanted: readonly IpvsTimeout[]): Promise<StepReport> {
    const before = await this.#differences(family, wanted);
    if (before.length === 0) return { changed: [], warnings: [] };
    const answers = await this.#commands.request(
      "set IPVS timeouts",
      before,
      (writer, { wanted: { name, seconds } }) => encodeSetTimeout(writer, family, name, seconds),
      NO_REPLY,
    );
    const left = new Map(
      (await this.#differences(family, wanted)).map(({ wanted: { name }, seconds }) => [name, seconds]),
    );
    const changed: string[] = [];
    const warnings: string[] = [];
    before.forEach(({ wanted: timeout, seconds }, index) => {
      const answer = answers[index];
      const text = `IPVS timeout ${timeout.name}`;
      if (!left.has(timeout.name)) changed.push(`set ${text} from ${seconds} s to ${timeout.seconds} s`);
      else {
        const because =
          answer?.ok === false
            ? answer.errno
            : `the kernel accepted the value, but it is still ${textOf(left.get(timeout.name))}`;
        warnings.push(`Cannot set ${text} to ${timeout.seconds} s for --${timeout.flag}: ${because}`);
      }
    });
    return { changed, warnings };
  }

  /** Describes the timeouts that differ: "IPVS timeout tcp is 900 s, not 600 s". Reads only. */
  async differences(family: number, wanted: readonly IpvsTimeout[]): Promise<readonly string[]> {
    const found = await this.#differences(family, wanted);
    return found.map(
      ({ wanted: { name, seconds: want }, seconds }) => `IPVS timeout ${name} is ${textOf(seconds)}, not ${want} s`,
    );
  }

  async #differences(family: number, wanted: readonly IpvsTimeout[]): Promise<readonly Difference[]> {
    if (wanted.length === 0) return [];
    const timeouts = await this.#read(family);
    return wanted
      .map((each) => ({ wanted: each, seconds: timeouts[each.name] }))
      .filter(({ wanted: { seconds: want }, seconds }) => seconds !== want);
  }

  async #read(family: number): Promise<IpvsTimeouts> {
    const operation = "read IPVS timeouts";
    const [answer] = await this.#commands.request(operation, [family], encodeGetTimeouts, DEFAULT_REPLY);
    if (answer?.ok === false) throw new NetlinkError(operation, answer.errno, answer.text);
    const [message] = answer?.replies ?? [];
    const timeouts = message === undefined ? undefined : decodeTimeouts(message);
    if (timeouts === undefined) throw new NetlinkError(operation, "EBADMSG", "the answer cannot be read");
    return timeouts;
  }
}

function textOf(seconds: number | undefined): string {
  return seconds === undefined ? "missing" : `${seconds} s`;
}
