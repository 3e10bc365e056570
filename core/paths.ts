/** Where things lie on disk (house: core ideas; wire.md §1.7). Pure: it joins names and touches nothing. */
/** Environment as a plain lookup, so that tests and the server can pass their own. */
export type Env = (name: string) => string | undefined;

/** A name below a folder. Not std's `join`: every command pays for that one's millisecond, and nothing is to be normalized. */
export function below(folder: string, name: string): string {
  return folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

export function userHome(env: Env): string {
  return env("HOME") ?? env("USERPROFILE") ?? "/";
}

/** The folder shared with an official install: config, user hash, cookies, ssh files. */
export function dotSky(env: Env): string {
  return below(userHome(env), ".sky");
}

/** SSH node pools, of the machine that the server runs on, and the keys that were uploaded for them. */
export function sshPoolsFile(env: Env): string {
  return below(dotSky(env), "ssh_node_pools.yaml");
}
export function sshKeysFolder(env: Env): string {
  return below(dotSky(env), "ssh_keys");
}

/** On the client: ssh's own config, and what is generated for it, a file per cluster (wire.md §1.7). */
export function sshConfigFile(env: Env): string {
  return below(below(userHome(env), ".ssh"), "config");
}
export function generatedSsh(env: Env): { readonly fragments: string; readonly keys: string } {
  const generated = below(dotSky(env), "generated");
  return { fragments: below(generated, "ssh"), keys: below(generated, "ssh-keys") };
}

/** Our own state: database, logs, nodes. `SKY_HOME` moves it. */
export function serverHome(env: Env): string {
  return env("SKY_HOME") ?? below(dotSky(env), "server");
}

export interface HomePaths {
  readonly root: string;
  readonly database: string;
  /** Request logs: `<id>.log`. */
  readonly requests: string;
  /** Homes of local nodes, and per cluster hash the merged job logs of every cloud. */
  readonly nodes: string;
  readonly clusters: string;
  /** Uploaded files per user. */
  readonly clients: string;
  readonly cache: string;
  readonly registration: string;
  readonly serverLock: string;
  readonly startLock: string;
  readonly socket: string;
  readonly serverLog: string;
}

export function homePaths(root: string): HomePaths {
  return {
    root,
    database: below(root, "sky.db"),
    requests: below(root, "requests"),
    nodes: below(root, "nodes"),
    clusters: below(root, "clusters"),
    clients: below(root, "clients"),
    cache: below(root, "cache"),
    registration: below(root, "server.json"),
    serverLock: below(root, "server.lock"),
    startLock: below(root, "start.lock"),
    socket: below(root, "server.sock"),
    serverLog: below(root, "server.log"),
  };
}

/** Local endpoints are these three texts exactly (wire.md §1.2). */
export const DEFAULT_PORT = 46580;
export const DEFAULT_ENDPOINT = `http://127.0.0.1:${DEFAULT_PORT}`;
export function isLocalEndpoint(endpoint: string): boolean {
  return ["0.0.0.0", "localhost", "127.0.0.1"].some((host) => endpoint === `http://${host}:${DEFAULT_PORT}`);
}
