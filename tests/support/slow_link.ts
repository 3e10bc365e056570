/** A TCP relay on this machine behind which everything takes longer: a link with a long way. */
export class SlowLink implements Disposable {
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #timers = new Set<number>();

  /** `delayMs` each way. */
  constructor(target: Deno.ConnectOptions, delayMs: number) {
    this.#listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    this.#accept(target, delayMs);
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const connection of [...this.#open]) this.#close(connection);
  }

  async #accept(target: Deno.ConnectOptions, delayMs: number): Promise<void> {
    for await (const client of this.#listener) {
      this.#open.add(client);
      // Refused, or cut off meanwhile: the client sees its connection end.
      const server = await Deno.connect(target).catch(() => null);
      if (server === null) {
        this.#close(client);
        continue;
      }
      this.#open.add(server);
      this.#carry(client, server, delayMs);
      this.#carry(server, client, delayMs);
    }
  }

  async #carry(from: Deno.Conn, to: Deno.Conn, delayMs: number): Promise<void> {
    // One after the other, each after its time.
    let before = Promise.resolve();
    const later = (act: () => Promise<unknown>) => {
      const due = new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          this.#timers.delete(timer);
          resolve();
        }, delayMs);
        this.#timers.add(timer);
      });
      before = Promise.all([before, due]).then(async () => void await act()).catch(() => this.#close(to));
    };
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const count = await from.read(buffer).catch(() => null); // closed by either side, or by us
      if (count === null) break;
      const bytes = buffer.slice(0, count);
      later(async () => {
        for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
      });
    }
    later(() => Promise.resolve(this.#close(to)));
  }

  #close(connection: Deno.Conn): void {
    if (!this.#open.delete(connection)) return;
    connection.close();
  }
}
