/** `sky api info`: which server is used, and how it is (cli.md §5.8). Never starts one; exit 0 also when it is down. */
import type { Health } from "../../../api/wire.ts";
import type { User } from "../../../core/context.ts";
import { isSkyError, type SkyError } from "../../../core/errors.ts";
import { type Endpoint, resolveEndpoint } from "../../../sdk/connect.ts";
import type { Command, Input, Io } from "../../command.ts";
import { CONFIG, OUTPUT } from "../../options.ts";
import { commit, VERSION } from "../../version.ts";

export const command: Command = {
  name: "info",
  summary: "Show which API server is used.",
  help: "Show which API server this client uses, whether it is well, and who you are to it.",
  examples: ["sky api info", "sky api info -o json"],
  args: [],
  options: [...OUTPUT, ...CONFIG],
  run,
};

interface Answer {
  /** Null when it is not there or does not serve us. */
  readonly health: Health | null;
  readonly user: User | null;
  readonly url: string;
  readonly problem: SkyError | null;
}

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const place = resolveEndpoint(io.env, io.config());
  const answer = await askServer(io, place);
  if (input.text("output") === "json") {
    out.json(asJson(answer));
    return 0;
  }
  out.line(`SkyPilot client version: ${VERSION}, commit: ${commit()}`);
  if (answer.health === null) tellDown(io, place, answer);
  else tellHealthy(io, place, { ...answer, health: answer.health });
  return 0;
}

async function askServer(io: Io, place: Endpoint): Promise<Answer> {
  try {
    const sky = await io.skyIfRunning();
    if (sky === undefined) return { health: null, user: null, url: place.endpoint, problem: null };
    const health = await sky.health({ signal: io.signal });
    const { id, name } = health.user ?? sky.user;
    return { health, user: { id, name }, url: sky.endpoint, problem: null };
  } catch (error) {
    if (!isSkyError(error) || isSkyError(error, "aborted")) throw error;
    return { health: null, user: null, url: place.endpoint, problem: error };
  }
}

function asJson({ health, user, url, problem }: Answer): unknown {
  const status = health?.status.toUpperCase() ?? STATUS_OF[problem?.code ?? ""] ?? "UNHEALTHY";
  return {
    client: { version: VERSION, commit: commit() },
    server: {
      url,
      status,
      version: health?.version ?? null,
      commit: health?.commit ?? null,
      api_version: health?.api_version ?? null,
    },
    user,
  };
}

const STATUS_OF: Readonly<Record<string, string>> = {
  auth_required: "NEEDS_AUTH",
  version_mismatch: "VERSION_MISMATCH",
};

function tellHealthy(io: Io, place: Endpoint, { health, user, url }: Answer & { health: Health }): void {
  const { out } = io;
  const { dim } = out.style;
  const source = {
    env: "Endpoint set via the environment variable SKYPILOT_API_SERVER_ENDPOINT",
    config: "Endpoint set via ~/.sky/config.yaml",
    default: "Endpoint set to default local API server.",
  }[place.source];
  const status = health.status.toUpperCase();
  out.line(`Using SkyPilot API server and dashboard: ${url}`);
  out.line(`${dim("├── ")}Status: ${status}, commit: ${health.commit}, version: ${health.version}`);
  if (user !== null) out.line(`${dim("├── ")}User: ${user.name} (${user.id})`);
  out.line(`${dim("└── ")}${source}`);
}

function tellDown(io: Io, place: Endpoint, { url, problem }: Answer): void {
  const { out } = io;
  const { bold, dim } = out.style;
  if (place.local && problem === null) {
    out.line("No SkyPilot API server is connected");
    out.line(`${dim("├── ")}To connect to an existing API server: ${bold("sky api login")}`);
    out.line(`${dim("└── ")}To start a local API server: ${bold("sky api start")}`);
    return;
  }
  const known = problem !== null && STATUS_OF[problem.code] !== undefined;
  out.line(known ? problem.message : `Could not connect to SkyPilot API server at ${url}`);
  if (place.local) {
    out.line(`${dim("└── ")}To restart it: ${bold("sky api stop; sky api start")}`);
    return;
  }
  out.line(`${dim("├── ")}To re-login to the API server: ${bold(`sky api login --relogin -e ${url}`)}`);
  out.line(`${dim("└── ")}To logout the server: ${bold("sky api logout")}`);
}
