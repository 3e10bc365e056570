/** A server for local_test.ts to kill: opens the room of the folder in its argument, says so and lives on. */
import { local } from "../../clouds/local/mod.ts";
import { World } from "./world.ts";

const world = new World(Deno.args[0] ?? "", [local]);
const server = await world.serve();
await Deno.stdout.write(new TextEncoder().encode(`open ${server.faults.length}\n`));
setInterval(() => {}, 1000);
