import { RawNetlinkSocket } from "netlink/dist/raw.js";

/** The little that we ask of a netlink socket: the seam at which tests put a peer of their own. */
export interface RawSocket {
  /** SO_RCVBUF as the kernel set it: what waiting replies may take. */
  readonly receiveBufferBytes: number;
  /** Hands one datagram over. `bytes` must not change until it was answered. A failure comes to the listener. */
  send(bytes: Uint8Array): void;
  /** May be called at any time and more than once; the listener hears nothing afterwards. */
  close(): void;
}

/** Neither may throw: what is thrown within a callback of the addon aborts the process. */
export interface RawSocketListener {
  /** A datagram of the kernel; `truncatedBytes` is its true length if the buffer was too small for it, else 0. */
  message(bytes: Uint8Array, truncatedBytes: number): void;
  error(error: Error): void;
}

export interface RawSocketOptions {
  readonly protocol: number;
  /** Longest datagram that can be received; the addon allocates and zeroes as much for each. */
  readonly messageBytes: number;
}

export type OpenRawSocket = (options: RawSocketOptions, listener: RawSocketListener) => RawSocket;

/**
 * Receive and send buffer that we ask for. The kernel grants at most net.core.rmem_max and wmem_max (212,992 where nobody changed them) and
 * doubles it; what it granted is read back.
 */
const BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * Opens a socket of the `netlink` addon, bound and unconnected. Throws when the kernel has no such protocol.
 *
 * The addon is closed from the event loop's check phase and never from within one of its own callbacks: there it
 * would destroy the very context that it runs them in (`DoClose` resets `async_res` under `MakeCallback`).
 */
export const openRawSocket: OpenRawSocket = (options, listener) => openRawSocketOf(BUFFER_BYTES, options, listener);

/** The same, with buffers of at most twice so many bytes. */
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
  // Only the kernel (port 0) answers; any process may send to our port.
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
