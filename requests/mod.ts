/** The door of requests/: the durable request engine. */
export { type CancelFilter, Engine } from "./engine.ts";
export type { EngineLimits, EngineOptions, Submission, Work } from "./submission.ts";
export type { ListQuery } from "./reading.ts";
export type { Waiting } from "./schedule.ts";
export { type Daemon, Daemons } from "./daemons.ts";
export { type Retention, retentionOf, sweepRequests } from "./retention.ts";
export { requestLogPath } from "./log.ts";
