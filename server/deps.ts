/** What the HTTP side of the server is made of, put together by serve.ts (tests put together their own). Types only. */
import type { Room } from "../clusters/room.ts";
import type { SkyConfig } from "../core/config.ts";
import type { User } from "../core/context.ts";
import type { Env, HomePaths } from "../core/paths.ts";
import type { Engine } from "../requests/engine.ts";
import type { Work } from "../requests/submission.ts";
import type { BodyLimits } from "./bodies.ts";
import type { Exchanges } from "./exchanges.ts";
import type { OriginRules } from "./security/origin.ts";
import type { PeerCheck } from "./security/peer.ts";
import type { TokenAuthority } from "./security/tokens.ts";
import type { ServerLog } from "./server_log.ts";
import type { OpenStream } from "./streams/pump.ts";
import type { Blobs } from "./uploads/blobs.ts";

export interface Security {
  readonly origin: OriginRules;
  /** Null: who is at the other end of a loopback connection is not asked. */
  readonly peers: PeerCheck | null;
  /** Our own uid, the only one besides root that `peers` lets in. */
  readonly uid: number | null;
  /** Every TCP caller must show a token. */
  readonly tokensRequired: boolean;
  readonly tokens: TokenAuthority;
}

export interface Timing {
  /** Milliseconds of silence before a heartbeat: of text streams, of frames. */
  readonly heartbeatMs: number;
  readonly beatMs: number;
  /** Longest wait of a submission that asks for its result (X-Sky-Wait). */
  readonly waitMs: number;
  /** How often a stream looks why its request waits. */
  readonly pollMs: number;
  /** How often a followed plain file is looked at. */
  readonly filePollMs: number;
}

export const TIMING: Timing = {
  heartbeatMs: 30_000,
  beatMs: 10_000,
  waitMs: 25_000,
  pollMs: 500,
  filePollMs: 250,
};

export interface Deps {
  readonly engine: Engine;
  /** What the engine runs: for reads, which make no request. */
  readonly work: (name: string) => Work;
  readonly room: Room;
  readonly home: HomePaths;
  readonly env: Env;
  now(): number;
  /** The server's own config, as it is now. */
  config(): SkyConfig;
  /** Who callers without an identity are. */
  readonly user: User;
  readonly security: Security;
  readonly blobs: Blobs;
  readonly exchanges: Exchanges;
  readonly log: ServerLog;
  readonly limits: BodyLimits;
  readonly timing: Timing;
  /** Log streams being sent. */
  readonly streams: Set<OpenStream>;
  /** Aborted from the first moment of a drain on. */
  readonly draining: AbortSignal;
  /** Id of the registration file. */
  readonly serverId: string;
  readonly commit: string;
}

/** Who is asking, as middleware.ts found out. */
export interface Caller {
  /** Proven by a token; null: the envelope is believed. */
  readonly user: User | null;
  /** API version the client claims, null when it does not. */
  readonly apiVersion: number | null;
  /** One of our own clients, which reads what SkyPilot's do not know. */
  readonly own: boolean;
}

/** Hono's types: bindings come from the listener, variables from the middleware. */
export interface AppEnv {
  Bindings: {
    /** Absent for calls within the process. */
    remote?: Deno.Addr;
    /** Of the TCP listener. */
    local?: Deno.NetAddr;
  };
  Variables: { caller: Caller };
}
