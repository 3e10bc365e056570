/**
 * Handles and resources as the Python objects that SkyPilot's older clients unpickle; newer ones read the JSON
 * (wire.md §14.4). Pure.
 */
import type { WireHandle } from "./clusters.ts";
import { PICKLED_NONE } from "./payload.ts";
import { dumpPickle, type PickleInput, PythonCall, toBase64 } from "./pickle.ts";

/** From this API version on, clients read handles and resources that are JSON. */
export const JSON_HANDLES_SINCE = 50;

/** Base64 of a pickled cluster handle, or of None. */
export function pickledHandle(handle: WireHandle | null): string {
  if (handle === null) return PICKLED_NONE;
  return pickled(
    new PythonCall("sky.backends.cloud_vm_ray_backend", "CloudVmRayResourceHandle", {
      cluster_name: handle.cluster_name,
      cluster_name_on_cloud: handle.cluster_name_on_cloud,
      cluster_yaml: handle.cluster_yaml,
      launched_nodes: handle.launched_nodes,
      launched_resources: resourcesCall(handle.launched_resources),
      stable_internal_external_ips: handle.stable_internal_external_ips,
      stable_ssh_ports: handle.stable_ssh_ports,
    }),
  );
}

/** Base64 of pickled launched resources, or of None. */
export function pickledResources(resources: Record<string, unknown> | null): string {
  return resources === null ? PICKLED_NONE : pickled(resourcesCall(resources));
}

function resourcesCall(resources: Record<string, unknown>): PythonCall {
  // It went over the wire as JSON, and the keys are the constructor's.
  return new PythonCall("sky.resources", "Resources", resources as { readonly [key: string]: PickleInput });
}

function pickled(value: PickleInput): string {
  return toBase64(dumpPickle(value));
}
