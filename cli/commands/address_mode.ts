/** Which of `--ip`, `--endpoints` and `--endpoint` of `sky status` was asked for. Showing it is status_address.ts's. */
import { SkyError } from "../../core/errors.ts";
import type { Input } from "../command.ts";
import { usage } from "../parse.ts";

export type AddressMode = "ip" | "endpoints" | { readonly port: number };

/** Which of them was asked for; null for none. Throws on combinations. */
export function addressMode(input: Input): AddressMode | null {
  const port = input.int("endpoint");
  const endpoints = input.flag("endpoints");
  if (input.flag("ip") && (endpoints || port !== undefined)) {
    throw new SkyError("invalid_argument", "Cannot specify both --ip and --endpoint(s) at the same time.");
  }
  if (endpoints && port !== undefined) {
    throw new SkyError(
      "invalid_argument",
      "Cannot specify both --endpoint and --endpoints at the same time.",
    );
  }
  const mode = input.flag("ip") ? "ip" : endpoints ? "endpoints" : port === undefined ? null : { port };
  if (mode !== null && input.flag("refresh")) {
    throw usage(
      "Using --ip or --endpoint(s) with --refresh is not supported for now. " +
        "To fix, refresh first, then query the IP or endpoint.",
    );
  }
  return mode;
}
