/** Handlers about requests themselves. */
import { SkyError } from "../../core/errors.ts";
import type { HandlersOf } from "./handler.ts";

export const requestHandlers: HandlersOf<"apiCancel"> = {
  async apiCancel(body, ctx, world) {
    const engine = await world.engine;
    const filter = body.request_ids !== null
      ? { ids: body.request_ids }
      : body.user_id !== null
      ? { userId: body.user_id }
      : { all: true } as const;
    if ("ids" in filter && filter.ids.some((id) => id === "")) {
      throw new SkyError("invalid_argument", "A request id must not be empty");
    }
    return await engine.cancel(filter, ctx.user);
  },
};
