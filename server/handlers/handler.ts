/** What a handler is: a body of the table and a context in, the table's result out. Types only. */
import type { Body, OperationKey, Result } from "../../api/operations.ts";
import type { Room } from "../../clusters/room.ts";
import type { SkyConfig } from "../../core/config.ts";
import type { Context } from "../../core/context.ts";
import type { HomePaths } from "../../core/paths.ts";
import type { Engine } from "../../requests/engine.ts";
import type { Exchanges } from "../exchanges.ts";
import type { StoredExtras } from "../submit.ts";
import type { Blobs } from "../uploads/blobs.ts";
import type { Addresses } from "./addresses.ts";

/** What handlers share beside their context. */
export interface World {
  readonly room: Room;
  /** Made after the handlers that it runs, which may begin before it is whole. */
  readonly engine: Promise<Engine>;
  readonly exchanges: Exchanges;
  readonly blobs: Blobs;
  readonly addresses: Addresses;
  readonly home: HomePaths;
  readonly config: () => SkyConfig;
}

export type Handler<K extends OperationKey> = (
  body: Body<K> & StoredExtras,
  ctx: Context,
  world: World,
) => Promise<Result<K>>;

export type Handlers = { readonly [K in OperationKey]: Handler<K> };
/** A group of handlers, checked key by key. */
export type HandlersOf<K extends OperationKey> = Pick<Handlers, K>;
