/** The door of state/: what the server keeps. */
export { Database, type DatabaseOptions, type Statement, type Value, type WriteResult } from "./database.ts";
export { Space } from "./space.ts";
export { LogFile, LogFiles } from "./log_file.ts";
export { RequestStore } from "./requests.ts";
export { RequestSweep } from "./request_sweep.ts";
export { StepStore } from "./steps.ts";
export { type ClusterHistory, type ClusterKey, ClusterStore } from "./clusters.ts";
export { JobStore, type NewJob } from "./jobs.ts";
export { UserStore } from "./users.ts";
export { type TokenRecord, TokenStore } from "./tokens.ts";
export { SettingStore } from "./settings.ts";
