/** The door of clusters/: the room and the verbs. Verbs take (thing, options, ctx, room) and return data. */
export { type AcceleratorOffer, listAcceleratorCounts, listAccelerators } from "./accelerators.ts";
export { type AutostopChange, autostopTick, setAutostop } from "./autostop.ts";
export { check } from "./checks.ts";
export { type ClusterCost, costReport, usedTime } from "./cost.ts";
export { clusterEvents, endpoints, nodesOf } from "./events.ts";
export { exec } from "./exec.ts";
export { enabledInfra } from "./infra.ts";
export { downloadLogs, type FollowedJob, followJob } from "./job_logs.ts";
export { cancelJobs, jobQueue, jobStatus } from "./jobs.ts";
export { launch, type Launched, type LaunchOptions } from "./launch.ts";
export { down, start, stop } from "./lifecycle.ts";
export { optimize } from "./optimize.ts";
export { faultsOfPlaces, gpusOfPlaces, nodesOfPlaces, setUpPlaces, tearDownPlaces } from "./places.ts";
export { openRoom, type Room, type RoomOptions } from "./room.ts";
export { refreshTick, status } from "./status.ts";
