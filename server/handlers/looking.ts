/** Handlers that only look: infra, plans, offers, events, costs. snake_case ends here. */
import {
  type AcceleratorOffer,
  check,
  clusterEvents,
  costReport,
  enabledInfra,
  endpoints,
  listAcceleratorCounts,
  listAccelerators,
  optimize,
} from "../../clusters/mod.ts";
import type { Body } from "../../api/operations.ts";
import { SkyError } from "../../core/errors.ts";
import type { ClusterEvent } from "../../state/clusters.ts";
import type { HandlersOf } from "./handler.ts";
import { costView } from "./views.ts";

export const lookingHandlers: HandlersOf<
  | "endpoints"
  | "costReport"
  | "clusterEvents"
  | "optimize"
  | "check"
  | "enabledClouds"
  | "listAccelerators"
  | "listAcceleratorCounts"
> = {
  async endpoints(body, ctx, world) {
    const port = body.port === null ? null : String(body.port);
    return await endpoints(body.cluster, port, ctx, world.room);
  },
  async costReport(body, _ctx, world) {
    const { days, cluster_hashes: hashes, cluster_names: names } = body;
    return (await costReport({ days, hashes, names }, world.room)).map(costView);
  },
  async clusterEvents(body, _ctx, world) {
    const of = body.cluster_hash !== null
      ? { hash: body.cluster_hash }
      : body.cluster_name !== null
      ? { name: body.cluster_name }
      : null;
    if (of === null) throw new SkyError("invalid_argument", "Give a cluster name or a cluster hash");
    const events = await clusterEvents(
      of,
      { types: eventTypes(body.event_type), limit: body.limit },
      world.room,
    );
    if (!body.include_timestamps) return events.map(({ reason }) => reason);
    return events.map(({ reason, transitionedAt }) => ({
      reason,
      transitioned_at: Math.floor(transitionedAt / 1000),
    }));
  },
  async optimize(body, ctx, world) {
    const { dagOf } = await import("./task_text.ts");
    await optimize(dagOf(body.dag), ctx, world.room);
    return null;
  },
  async check(body, ctx, world) {
    return await check({ clouds: body.clouds, workspace: body.workspace }, ctx, world.room);
  },
  async enabledClouds(body, ctx, world) {
    const workspace = body.workspace ?? ctx.workspace;
    return await enabledInfra({ expand: body.expand }, { ...ctx, workspace }, world.room);
  },
  async listAccelerators(body, ctx, world) {
    const found = await listAccelerators(acceleratorFilter(body), ctx, world.room);
    return Object.fromEntries(Object.entries(found).map(([name, offers]) => [name, offers.map(offerRow)]));
  },
  async listAcceleratorCounts(body, ctx, world) {
    return await listAcceleratorCounts(acceleratorFilter(body), ctx, world.room);
  },
};

const EVENT_TYPES: readonly ClusterEvent["type"][] = [
  "STATUS_CHANGE",
  "LAUNCH_PROGRESS",
  "DEBUG",
  "TERMINAL",
];

function eventTypes(text: string): ClusterEvent["type"][] {
  return text.split(",").map((word) => {
    const type = EVENT_TYPES.find((each) => each === word.trim());
    if (type === undefined) throw new SkyError("invalid_argument", `Invalid event type: '${word}'`);
    return type;
  });
}

function acceleratorFilter(body: Body<"listAccelerators">) {
  const { clouds } = body;
  return {
    name: body.name_filter,
    caseSensitive: body.case_sensitive,
    quantity: body.quantity_filter,
    region: body.region_filter,
    clouds: typeof clouds === "string" ? [clouds] : clouds,
  };
}

/** Ten places, no more and no fewer: SkyPilot's client counts (wire.md §7.5). */
function offerRow(offer: AcceleratorOffer): unknown[] {
  return [
    offer.cloud,
    offer.instanceType,
    offer.accelerator,
    offer.count,
    offer.cpus,
    offer.deviceMemory,
    offer.memory,
    offer.price,
    offer.spotPrice,
    offer.region,
  ];
}
