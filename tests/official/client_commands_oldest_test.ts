/** The oldest `sky` of SkyPilot that ours accepts, against our server. */
import { OLDEST } from "../support/official.ts";
import { testCommands } from "./client_commands.ts";

await testCommands(OLDEST);
