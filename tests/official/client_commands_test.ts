/** The newest `sky` of SkyPilot against our server. */
import { NEWEST } from "../support/official.ts";
import { testCommands } from "./client_commands.ts";

await testCommands(NEWEST);
