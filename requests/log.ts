/**
 * The log of one run of a request. Owns its path, the fence, and that a resumed run does not print again what its
 * earlier self has printed; leaves bytes on disk to state/log_file.ts, what lines look like to the server.
 */
import { join } from "@std/path";
import { SkyError } from "../core/errors.ts";
import type { LogFile } from "../state/log_file.ts";

/** Throws request_not_found for a text that cannot be an id: it must not lead out of the folder. */
export function requestLogPath(folder: string, id: string): string {
  if (!/^[\w-]+$/.test(id)) throw new SkyError("request_not_found", `Request '${id}' not found`);
  return join(folder, `${id}.log`);
}

/** An unfinished step's output longer than this is printed again rather than compared. */
const COMPARE_BYTES = 1024 * 1024;
const NEWLINE = 10;

export class RequestLog {
  readonly #file: LogFile;
  readonly #check: () => void;
  /** Printing again what led to steps that are skipped: all of it is in the file. */
  #replaying = false;
  /** What the cut run printed after its last finished step: the same text is not appended twice. */
  #tail: Uint8Array = new Uint8Array();
  #torn = false;

  /** `check` throws once nothing this run does may have an effect. */
  constructor(file: LogFile, check: () => void) {
    this.#file = file;
    this.#check = check;
  }

  /** Begin a resumed run; `from`: length of the log when the last finished step ended. `steps`: any finished? */
  async resume(options: { from: number; steps: boolean }): Promise<void> {
    this.#replaying = options.steps;
    const length = this.#file.size() - options.from;
    if (length > 0 && length <= COMPARE_BYTES) this.#tail = await this.#file.read(options.from, length);
    const last = await this.#file.read(Math.max(0, this.#file.size() - 1), 1);
    this.#torn = last.length > 0 && last[0] !== NEWLINE;
  }

  /** All finished steps are behind: from here on there may be new text. */
  caughtUp(): void {
    this.#replaying = false;
  }

  append(bytes: Uint8Array): void {
    this.#check();
    if (this.#replaying) return;
    if (this.#tail.length > 0) {
      const same = commonLength(bytes, this.#tail);
      if (same === bytes.length) {
        this.#tail = this.#tail.subarray(same);
        return;
      }
      const cut = same === this.#tail.length;
      this.#tail = new Uint8Array();
      // The earlier run was killed within this very text: only the rest is missing. Else the runs part here.
      if (cut) {
        this.#torn = false;
        this.#file.append(bytes.subarray(same));
        return;
      }
    }
    if (this.#torn) this.#file.append(new Uint8Array([NEWLINE]));
    this.#torn = false;
    this.#file.append(bytes);
  }

  /** Everything printed is in the file; its length. On a full disk some may be missing, which the log tells itself. */
  async flush(): Promise<number> {
    await this.#file.flush().catch(() => undefined); // LogFile keeps trying and has told the server
    return this.#file.size();
  }
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a[at] === b[at]) at++;
  return at;
}
