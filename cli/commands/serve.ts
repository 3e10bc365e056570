/** `sky serve status`: services and their replicas (cli.md §7.3). The tables are serve_table.ts's. */
import type { Sky } from "../../sdk/client.ts";
import type { Command, Input, Io } from "../command.ts";
import { ask } from "../follow.ts";
import { CONFIG, VERBOSE } from "../options.ts";
import { usage } from "../parse.ts";
import { replicaTable, serviceTable, type ServiceView } from "./serve_table.ts";

export const status: Command = {
  name: "status",
  summary: "Show services.",
  help: "Show services and their replicas: all, or the named ones.",
  examples: ["sky serve status", "sky serve status my-service -v", "sky serve status --endpoint my-service"],
  args: [{ name: "SERVICE_NAMES", required: false, many: true }],
  options: [
    ...VERBOSE,
    { name: "endpoint", kind: "flag", help: "Only print the endpoint of one service." },
    ...CONFIG,
  ],
  run,
};

async function run(io: Io, input: Input): Promise<number> {
  const { out } = io;
  const { args } = input;
  const sky = await io.sky();
  const services = await servicesOf(io, sky, args);
  if (services === null || (services.length === 0 && args.length === 0)) {
    out.line("No live services.");
    return 0;
  }
  if (input.flag("endpoint")) {
    const [only] = services;
    if (only === undefined || services.length > 1) {
      const count = services.length === 0 ? "No service" : `${services.length} services`;
      throw usage(
        `${count} found. Please specify an existing service to show its endpoint. ` +
          "Usage: sky serve status --endpoint <service-name>",
      );
    }
    out.line(only.endpoint ?? "-");
    return 0;
  }
  show(io, services, input);
  return 0;
}

/** Null: the server has no controller of services. */
async function servicesOf(io: Io, sky: Sky, names: readonly string[]): Promise<ServiceView[] | null> {
  try {
    const found = await ask(io, sky, "services", { service_names: names.length > 0 ? [...names] : null });
    return found as unknown as ServiceView[];
  } catch (error) {
    const { noController } = await import("./controllers.ts");
    if (await noController(io, sky, { error, kind: "serve" })) return null;
    throw error;
  }
}

function show(io: Io, services: readonly ServiceView[], input: Input): void {
  const { out } = io;
  const title = (text: string) => out.line(out.style.bold(out.style.cyan(text)));
  const options = { verbose: input.flag("verbose"), now: io.now() };
  const missing = input.args.filter((name) => !services.some((service) => service.name === name));
  if (services.length > 0) {
    title("Services");
    out.line(serviceTable(services, { kind: "service", ...options }));
  }
  for (const name of missing) out.line(`Service '${name}' not found.`);
  if (services.length === 0) return;
  out.line();
  title("Service Replicas");
  const replicas = services.some((service) => (service.replica_info ?? []).length > 0);
  out.line(replicas ? replicaTable(services, options) : "No existing replicas.");
}
