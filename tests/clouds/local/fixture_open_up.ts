/** Removes a tree under whatever rights this process has: `path`. Prints `ok`, or the error's code and hint. */
import { removeTree } from "../../../clouds/local/nodes.ts";
import { isSkyError } from "../../../core/errors.ts";

let said = "ok";
try {
  await removeTree(Deno.args[0]!);
} catch (error) {
  said = isSkyError(error) ? `${error.code} ${error.hint}` : String(error);
}
await Deno.stdout.write(new TextEncoder().encode(said));
