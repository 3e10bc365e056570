/**
 * From a request's name to its handler: what the engine runs. Gives every handler the config it may see and a
 * workspace that exists; leaves the body to the handlers.
 */
import { operations } from "../api/operations.ts";
import { overlayRequestConfig } from "../core/config.ts";
import type { Context } from "../core/context.ts";
import { SkyError } from "../core/errors.ts";
import type { Work } from "../requests/submission.ts";
import type { Handlers, World } from "./handlers/handler.ts";
import { checkWorkspace } from "./workspaces.ts";

/** The work of each operation of the table. */
export function makeWork(
  handlers: Handlers,
  world: World,
  hold: (name: string, signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
): (name: string) => Work {
  const byName = new Map<string, Work>();
  for (const [key, { name }] of Object.entries(operations)) {
    // Key and handler belong together by `Handlers`; the loop forgets which is which.
    const handler = handlers[key as keyof Handlers] as (
      body: unknown,
      ctx: Context,
      world: World,
    ) => Promise<unknown>;
    byName.set(name, async (body, ctx) => {
      await hold(name, ctx.signal);
      const { config, ignored } = overlayRequestConfig(world.config(), ctx.config);
      if (ignored.length > 0) {
        ctx.log.line(`Config keys that only the server can set are ignored: ${ignored.join(", ")}`);
      }
      // Whatever is wrong with a caller's config: what runs must stay cancellable.
      if (key !== "apiCancel") checkWorkspace(ctx.workspace, world.config());
      return await handler(body, { ...ctx, config }, world);
    });
  }
  return (name) => {
    const work = byName.get(name);
    if (work !== undefined) return work;
    // Of another version of this program, or of a client that knows more than we do (unsupported.ts).
    throw new SkyError("not_supported", `'${name}' is not supported by this API server`);
  };
}
