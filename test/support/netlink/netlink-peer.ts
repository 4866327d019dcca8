import type { OpenRawSocket, RawSocketListener } from "../../../src/kernel/netlink/raw-socket.ts";
import * as naive from "./naive-netlink.ts";

/** Answers one datagram with the datagrams it gives. Throws what sending shall fail with. */
export type Peer = (requests: readonly naive.NaiveMessage[], protocol: number) => readonly naive.Bytes[];

/** A kernel that accepts everything: acknowledges where that is asked for. */
export const accepting = (requests: readonly naive.NaiveMessage[]): readonly naive.Bytes[] =>
  requests.filter(({ flags }) => (flags & 4) !== 0).map((it) => naive.acknowledgement(it, 0));

/** As a netlink socket: replies are there when send returns, and are delivered when the event loop looks. */
export class NetlinkPeer {
  peer: Peer;
  receiveBufferBytes = 425_984;
  opened = 0;
  closed = 0;
  /** Requests of each datagram. */
  readonly sent: (readonly naive.NaiveMessage[])[] = [];
  listener: RawSocketListener = { message: () => undefined, error: () => undefined };

  constructor(peer: Peer) {
    this.peer = peer;
  }

  readonly open: OpenRawSocket = ({ protocol }, listener) => {
    this.opened += 1;
    this.listener = listener;
    let isOpen = true;
    return {
      receiveBufferBytes: this.receiveBufferBytes,
      send: (bytes) => {
        const requests = naive.split(bytes);
        this.sent.push(requests);
        for (const reply of this.peer(requests, protocol)) {
          setImmediate(() => isOpen && listener.message(Uint8Array.from(reply), 0));
        }
      },
      close: () => {
        if (isOpen) this.closed += 1;
        isOpen = false;
      },
    };
  };
}
