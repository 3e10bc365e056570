/** The handlers: every row of the operations table has one, or this does not compile. */
import { clusterHandlers } from "./clusters.ts";
import type { Handlers } from "./handler.ts";
import { jobHandlers } from "./jobs.ts";
import { lookingHandlers } from "./looking.ts";
import { otherHandlers } from "./others.ts";
import { placeHandlers } from "./places.ts";
import { requestHandlers } from "./requests.ts";

export const handlers = {
  ...clusterHandlers,
  ...jobHandlers,
  ...lookingHandlers,
  ...otherHandlers,
  ...placeHandlers,
  ...requestHandlers,
} satisfies Handlers;
