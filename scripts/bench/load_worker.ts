/** The load, on a thread of its own: what measures the event loop of the server must not wait for it. */
import { type Exchange, Followers, hammer, type Hammering, type Target } from "./load.ts";

export type Order =
  | { readonly kind: "hammer"; readonly target: Target; readonly hammering: Hammering }
  | { readonly kind: "follow"; readonly target: Target; readonly exchange: Exchange; readonly count: number }
  | { readonly kind: "lags" }
  | { readonly kind: "leave" };

const followers = new Followers();

async function obey(order: Order): Promise<unknown> {
  switch (order.kind) {
    case "hammer":
      return await hammer(order.target, order.hammering);
    case "follow":
      return await followers.open(order.target, order);
    case "lags":
      return followers.take();
    case "leave":
      return await followers.close();
  }
}

const port = globalThis as unknown as {
  onmessage: (event: MessageEvent<Order>) => void;
  postMessage(answer: { value: unknown } | { error: string }): void;
};
port.onmessage = ({ data }) => {
  obey(data).then(
    (value) => port.postMessage({ value }),
    (error: unknown) => port.postMessage({ error: String(error) }),
  );
};
