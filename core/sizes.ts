/** CPUs, memory, disks and times (domain.md §1.3, §1.3.4, appendix A.4, A.5): parse and compare. Pure. */
import { SkyError } from "./errors.ts";
import { pyRepr } from "./format.ts";

const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)$/;
/** In GB, powers of 1024. */
const UNITS: Readonly<Record<string, number>> = { k: 1024 ** -2, m: 1024 ** -1, g: 1, t: 1024, p: 1024 ** 2 };

/** A canonical amount taken apart: `4` exactly four, `4+` at least, `4x` at least four per vCPU. */
export interface Amount {
  readonly value: number;
  readonly form: "exact" | "atLeast" | "perCpu";
}

/** Takes apart what `parseCpus` and `parseMemory` made. */
export function amountOf(canonical: string): Amount {
  const value = Number(canonical.replace(/[+x]$/, ""));
  if (canonical.endsWith("+")) return { value, form: "atLeast" };
  return { value, form: canonical.endsWith("x") ? "perCpu" : "exact" };
}

/** vCPUs as canonical text, `4` or `4+`. Throws invalid_argument. */
export function parseCpus(wish: number | string): string {
  const text = String(wish).trim();
  const plus = text.endsWith("+") ? "+" : "";
  const number = text.slice(0, text.length - plus.length).trim();
  if (!NUMBER.test(number)) {
    throw refuse(
      `The "cpus" field should be either a number or a string "<number>+". Found: ${pyRepr(wish)}`,
    );
  }
  if (Number(number) <= 0) throw refuse(`The "cpus" field should be positive. Found: ${pyRepr(wish)}`);
  return `${Number(number)}${plus}`;
}

/**
 * Memory in GB as canonical text: `16`, `16+`, or `4x` for at least four per vCPU. `allowZero`: Slurm does not track
 * memory when 0 is asked for. Throws invalid_argument.
 */
export function parseMemory(wish: number | string, options: { allowZero?: boolean } = {}): string {
  const text = String(wish).trim();
  const suffix = /[+xX]$/.exec(text)?.[0].toLowerCase() ?? "";
  const size = gigabytes(text.slice(0, text.length - suffix.length));
  if (size === undefined) {
    throw refuse(`${sizeMessage("memory")} or "<number>+" for "at least". Got: ${pyRepr(wish)}`);
  }
  if (size < 0 || (size === 0 && !options.allowZero)) {
    throw refuse(`The "memory" field should be positive. Found: ${pyRepr(wish)}`);
  }
  return `${size}${suffix}`;
}

/** Whole GB of a disk; parts of a GB are dropped. `field` is the YAML name. Throws invalid_argument. */
export function parseDiskSize(wish: number | string, field = "disk_size"): number {
  const size = gigabytes(String(wish));
  if (size === undefined) throw refuse(`${sizeMessage(field)}. Got: ${pyRepr(wish)}`);
  const whole = Math.floor(size);
  if (whole <= 0) throw refuse(`"${field}" must be a positive integer (in GB).`);
  return whole;
}

function sizeMessage(field: string): string {
  return `"${field}" field should be a number (e.g. "16") or "<number><unit>" where unit is one of ` +
    `KB/MB/GB/TB/PB (e.g. "16GB")`;
}

function gigabytes(text: string): number | undefined {
  const [, number = "", unit = "g"] = /^\s*(.*?)\s*(?:([kmgtp])[bi])?\s*$/i.exec(text) ?? [];
  return NUMBER.test(number) ? Number(number) * (UNITS[unit.toLowerCase()] ?? 1) : undefined;
}

const LOCAL_DISK = /^(?:(nvme|ssd)(?::(\d+(?:\.\d+)?)(\+?))?|(\d+(?:\.\d+)?)(\+?))$/i;

/** `mode:size[+]`, e.g. `nvme:100+`. Throws invalid_argument. */
export function parseLocalDisk(wish: number | string): string {
  const match = LOCAL_DISK.exec(String(wish).trim());
  const [, mode = "nvme", modeSize, modePlus = "", size, plus = ""] = match ?? [];
  const amount = Number(modeSize ?? size ?? 100);
  if (match === null || amount <= 0) {
    throw refuse(
      `Invalid local_disk: ${
        pyRepr(String(wish))
      }. Expected "mode:size[+]", "mode", or "size[+]". Mode must be ` +
        `"nvme" or "ssd", size must be positive (GB), optionally with "+".`,
    );
  }
  const atLeast = modeSize === undefined && size === undefined ? "+" : `${modePlus}${plus}`;
  return `${mode.toLowerCase()}:${amount}${atLeast}`;
}

/** True if a launched local disk serves a wish, both canonical: nvme serves ssd, sizes match within 1 GB or at least. */
export function localDiskFits(wanted: string, launched: string): boolean {
  const [mode = "", size = ""] = wanted.split(":");
  const [launchedMode = "", launchedSize = ""] = launched.split(":");
  if (mode === "nvme" && launchedMode !== "nvme") return false;
  const [want, have] = [amountOf(size), amountOf(launchedSize)];
  return want.form === "atLeast" ? have.value >= want.value : Math.abs(have.value - want.value) <= 1;
}

const MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440, w: 10080 };

/** Minutes of `10`, `10m`, `2h`, `1d`, `1w`. Throws invalid_argument. */
export function parseMinutes(wish: number | string): number {
  const [match, count = "", unit = "m"] = /^\s*(\d+)([mhdw])?\s*$/i.exec(String(wish)) ?? [];
  if (match === undefined) throw refuse(`Invalid time format: ${wish}`);
  return Number(count) * (MINUTES[unit.toLowerCase()] ?? 1);
}

/** Seconds of `30`, `30s`, `5m`, … Throws invalid_argument. */
export function parseSeconds(wish: number | string): number {
  const [match, count = "", unit = "s"] = /^\s*(\d+)([smhdw])?\s*$/i.exec(String(wish)) ?? [];
  if (match === undefined) throw refuse(`Invalid time format: ${wish}`);
  const lower = unit.toLowerCase();
  return Number(count) * (lower === "s" ? 1 : (MINUTES[lower] ?? 1) * 60);
}

function refuse(message: string): SkyError {
  return new SkyError("invalid_argument", message);
}
