/**
 * A TCP proxy that behaves like a bad network: it cuts connections at chosen bytes of either direction, or goes on
 * swallowing what is sent. What each connection suffers is the test's decision; ends with everything closed.
 */

export interface Fate {
  /** Cut after this many bytes towards the server / the client. */
  readonly up?: number;
  readonly down?: number;
  /** Instead of being cut, the connection stays open and nothing gets through any more. */
  readonly swallow?: boolean;
}

export class BadNetwork implements AsyncDisposable {
  /** Connections that met their fate. */
  cuts = 0;
  connections = 0;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #work: Promise<void>[] = [];

  /** `fate` is asked once for each connection; null lets it live. */
  constructor(target: () => { port: number }, fate: (connection: number) => Fate | null) {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#work.push(this.#accept(target, fate));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of [...this.#open]) this.#close(connection);
    while (this.#work.length > 0) await this.#work.shift();
  }

  async #accept(target: () => { port: number }, fateOf: (connection: number) => Fate | null): Promise<void> {
    for await (const client of this.#listener) {
      const fate = fateOf(this.connections++) ?? {};
      this.#open.add(client);
      let server: Deno.Conn;
      try {
        server = await Deno.connect({ hostname: "127.0.0.1", port: target().port });
      } catch (error) {
        if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
        this.#close(client); // the server is being restarted
        continue;
      }
      this.#open.add(server);
      const end = () => {
        this.#close(client);
        this.#close(server);
      };
      const state = { met: false };
      this.#work.push(
        this.#carry(client, server, { limit: fate.up, swallow: fate.swallow === true, state, end }),
        this.#carry(server, client, { limit: fate.down, swallow: fate.swallow === true, state, end }),
      );
    }
  }

  async #carry(
    from: Deno.Conn,
    to: Deno.Conn,
    { limit = Infinity, swallow, state, end }: {
      limit: number | undefined;
      swallow: boolean;
      state: { met: boolean };
      end: () => void;
    },
  ): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    let left = limit;
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        if (state.met) continue;
        const part = buffer.subarray(0, Math.min(count, left));
        for (let at = 0; at < part.length;) at += await to.write(part.subarray(at));
        left -= part.length;
        if (left > 0) continue;
        this.cuts++;
        state.met = true;
        if (!swallow) break;
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
