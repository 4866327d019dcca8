import { RawNetlinkSocket } from "netlink/dist/raw.js";

/** The operations that this project needs of a netlink socket. Tests replace it with a peer of their own. */
export interface RawSocket {
  /** SO_RCVBUF as the kernel set it: the limit of memory for replies that wait. */
  readonly receiveBufferBytes: number;
  /** Sends one datagram. `bytes` must not change until the answer arrives. The listener receives a failure. */
  send(bytes: Uint8Array): void;
  /** Closes the socket at any time, also repeatedly; the listener is not called afterwards. */
  close(): void;
}

/** The callbacks must not throw: an exception within a callback of the addon aborts the process. */
export interface RawSocketListener {
  /** Receives a datagram of the kernel; `truncatedBytes` is its full length if the buffer was too small, else 0. */
  message(bytes: Uint8Array, truncatedBytes: number): void;
  error(error: Error): void;
}

export interface RawSocketOptions {
  readonly protocol: number;
  /** Length of the longest datagram that can be received; the addon allocates and zeroes this many bytes for each. */
  readonly messageBytes: number;
}

export type OpenRawSocket = (options: RawSocketOptions, listener: RawSocketListener) => RawSocket;

/**
 * Requested size of the receive and send buffers. The kernel grants at most net.core.rmem_max and wmem_max (212,992 by
 * default) and doubles the value; the granted size is read back.
 */
const BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * Opens a socket of the `netlink` addon, bound and unconnected. Throws if the kernel does not have the protocol.
 *
 * The addon is closed in the check phase of the event loop and never within one of its own callbacks: there it would
 * destroy the context in which the callback runs (`DoClose` resets `async_res` under `MakeCallback`).
 */
export const openRawSocket: OpenRawSocket = (options, listener) => openRawSocketOf(BUFFER_BYTES, options, listener);

/** Opens a socket as `openRawSocket` does, with buffers of at most twice `bufferBytes`. */
export function openRawSocketOf(
  bufferBytes: number,
  { protocol, messageBytes }: RawSocketOptions,
  listener: RawSocketListener,
): RawSocket {
  const raw = new RawNetlinkSocket(protocol, {
    messagePeeking: false,
    msgBufferSize: messageBytes,
    recvBufferSize: bufferBytes,
    sendBufferSize: bufferBytes,
  });
  let open = true;
  // Only the kernel (port 0) answers; any process may send to this port.
  raw.on("message", (bytes, { port }) => {
    if (open && port === 0) listener.message(bytes, 0);
  });
  raw.on("truncatedMessage", (bytes, { port, truncated = 0 }) => {
    if (open && port === 0) listener.message(bytes, truncated);
  });
  const fail = (error: Error) => {
    if (open) listener.error(error);
  };
  raw.on("error", fail);
  return {
    receiveBufferBytes: raw.getRecvBufferSize(),
    send: (bytes) => raw.send(bytes, undefined, (error) => error !== undefined && fail(error)),
    close: () => {
      if (!open) return;
      open = false;
      setImmediate(() => raw.close());
    },
  };
}
