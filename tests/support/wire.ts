/**
 * A TCP wire that a test can cut, stall and slow down while it is in use. Other than bad_network.ts, whose
 * connections have their fate from the start, this one is handled by hand.
 */
export class Wire implements AsyncDisposable {
  connections = 0;
  /** Milliseconds that every piece takes, each way. */
  delayMs = 0;
  readonly port: number;
  readonly #target: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #work = new Set<Promise<void>>();
  #stalled: PromiseWithResolvers<void> | null = null;
  #refusing = false;

  /** A wire to a port of this machine. */
  constructor(target: number) {
    this.#target = target;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#add(this.#accept());
  }

  /** End every connection; with `refuse`, those that come too, until `mend`. */
  cut({ refuse = false } = {}): void {
    this.#refusing = refuse;
    for (const connection of [...this.#open]) this.#close(connection);
  }

  /** Nothing gets through any more, and nobody is told: as when a cable is pulled. */
  stall(): void {
    this.#stalled ??= Promise.withResolvers();
  }

  mend(): void {
    this.#refusing = false;
    this.#stalled?.resolve();
    this.#stalled = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.cut();
    this.mend();
    while (this.#work.size > 0) await Promise.all(this.#work);
  }

  #add(work: Promise<void>): void {
    const tracked = work.finally(() => this.#work.delete(tracked));
    this.#work.add(tracked);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      this.connections++;
      if (this.#refusing) {
        client.close();
        continue;
      }
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.#target }).catch(() => null);
      if (server === null) {
        client.close();
        continue;
      }
      client.setNoDelay();
      server.setNoDelay();
      this.#open.add(client).add(server);
      const end = () => {
        this.#close(client);
        this.#close(server);
      };
      this.#add(this.#carry(client, server, end));
      this.#add(this.#carry(server, client, end));
    }
  }

  async #carry(from: Deno.Conn, to: Deno.Conn, end: () => void): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
        while (this.#stalled !== null) await this.#stalled.promise;
        for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
      }
    } catch (error) {
      const closed = error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted ||
        error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
      if (!closed) throw error;
    }
    end();
  }

  #close(connection: Deno.Conn): void {
    if (this.#open.delete(connection)) connection.close();
  }
}
