/**
 * Writing the Python pickles that SkyPilot's clients read (wire.md §14.3): plain data, and calls that make objects of
 * it. And base64. Reading: unpickle.ts. Pure.
 */
import { SkyError } from "../core/errors.ts";

/** What `dumpPickle` can write: JSON, and objects made by a call. */
export type PickleInput =
  | null
  | boolean
  | number
  | string
  | PythonCall
  | readonly PickleInput[]
  | { readonly [key: string]: PickleInput };

/** `module.name(**options)`, called by the reader. */
export class PythonCall {
  readonly module: string;
  readonly name: string;
  readonly options: { readonly [key: string]: PickleInput };

  constructor(module: string, name: string, options: { readonly [key: string]: PickleInput }) {
    this.module = module;
    this.name = name;
    this.options = options;
  }
}

const utf8 = new TextEncoder();

/** Protocol 2 bytes of a JSON value. Integers beyond 32 bits are written as floats. */
export function dumpPickle(value: PickleInput): Uint8Array<ArrayBuffer> {
  const out: number[] = [0x80, 0x02];
  write(value, out);
  out.push(0x2e);
  return new Uint8Array(out);
}

function write(value: PickleInput, out: number[]): void {
  if (value === null) out.push(0x4e);
  else if (value === true) out.push(0x88);
  else if (value === false) out.push(0x89);
  else if (typeof value === "number") writeNumber(value, out);
  else if (typeof value === "string") {
    const bytes = utf8.encode(value);
    out.push(0x58, ...little(bytes.length));
    for (const byte of bytes) out.push(byte);
  } else if (value instanceof PythonCall) writeCall(value, out);
  else if (Array.isArray(value)) {
    out.push(0x5d);
    if (value.length === 0) return;
    out.push(0x28);
    for (const item of value) write(item, out);
    out.push(0x65);
  } else {
    out.push(0x7d);
    const entries = Object.entries(value as { readonly [key: string]: PickleInput });
    if (entries.length === 0) return;
    out.push(0x28);
    for (const [key, item] of entries) {
      write(key, out);
      write(item, out);
    }
    out.push(0x75);
  }
}

/** Protocol 2 calls nothing by keyword; `functools.partial` does, once its state holds the options. */
function writeCall({ module, name, options }: PythonCall, out: number[]): void {
  writeGlobal("functools", "partial", out);
  out.push(0x28);
  writeGlobal(module, name, out);
  out.push(0x74, 0x52);
  out.push(0x28);
  writeGlobal(module, name, out);
  out.push(0x29);
  write(options, out);
  out.push(0x4e, 0x74, 0x62);
  out.push(0x29, 0x52);
}

function writeGlobal(module: string, name: string, out: number[]): void {
  out.push(0x63, ...utf8.encode(`${module}\n${name}\n`));
}

function writeNumber(value: number, out: number[]): void {
  if (Number.isInteger(value) && Math.abs(value) <= 0x7fffffff && !Object.is(value, -0)) {
    out.push(0x4a, ...little(value));
    return;
  }
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value);
  out.push(0x47, ...bytes);
}

function little(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff];
}

/** Base64 of bytes, and back; pickles travel as base64 text. */
export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** Throws `internal` when the text is not base64. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  let binary: string;
  try {
    binary = atob(text);
  } catch (cause) {
    throw new SkyError("internal", "Cannot read a pickled value of the server: not base64", { cause });
  }
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}
