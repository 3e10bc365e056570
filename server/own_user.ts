/** The server's own user: who submissions without an identity run as (wire.md §3.3, §15.1). */
import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { User } from "../core/context.ts";
import { dotSky, type Env } from "../core/paths.ts";

const ID = /^[a-zA-Z0-9][a-zA-Z0-9-]*$/;

/** The user hash of `~/.sky/user_hash`, else the one an official client would compute and write there. */
export async function ownUser(env: Env): Promise<User> {
  const name = env("SKYPILOT_USER") ?? osUser(env);
  const given = env("SKYPILOT_USER_ID");
  if (given !== undefined && ID.test(given)) return { id: given, name };
  try {
    const kept = (await Deno.readTextFile(join(dotSky(env), "user_hash"))).trim();
    if (ID.test(kept)) return { id: kept, name };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const host = md5(Deno.hostname()).slice(-4);
  return { id: md5(`${osUser(env)}-${host}`).slice(0, 8), name };
}

function osUser(env: Env): string {
  return env("USER") ?? env("LOGNAME") ?? env("USERNAME") ?? (Deno.uid() === 0 ? "root" : String(Deno.uid()));
}

function md5(text: string): string {
  return createHash("md5").update(text).digest("hex");
}
