import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Stands between client and server and passes bytes on, until it is told to be a dead network path. */
export class TcpRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  #swallows = false;

  private constructor(target: number) {
    this.#server = createServer((client) => {
      if (this.#swallows) {
        this.#sockets.add(client.resume());
        return;
      }
      const upstream = connect(target, "127.0.0.1");
      this.#pass(client, upstream);
      this.#pass(upstream, client);
    });
  }

  static async start(target: number): Promise<TcpRelay> {
    const relay = new TcpRelay(target);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get port(): number {
    // A TCP server that listens has an address of this form.
    return (this.#server.address() as AddressInfo).port;
  }

  /** The connections there are stay up, but nothing comes through any more. New ones work. */
  freeze(): void {
    for (const socket of this.#sockets) {
      socket.removeAllListeners("data");
      socket.resume();
    }
  }

  /** New connections are accepted, and nothing comes through. */
  swallow(): void {
    this.#swallows = true;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => void to.write(bytes));
    from.on("error", () => {});
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }
}
