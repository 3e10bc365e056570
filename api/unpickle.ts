/**
 * Reading Python pickles as data (wire.md §14.9). Nothing is ever imported, called or instantiated: an object comes
 * back as `{ class, args, state }`. Pure. Length: one arm per opcode.
 */
import { SkyError } from "../core/errors.ts";

/** An instance or a called global, described and not made. */
export interface PickledObject {
  /** Dotted name, e.g. `sky.resources.Resources`. */
  class: string;
  args: unknown[];
  state: unknown;
}

const MAX_DEPTH = 100_000;

/**
 * Read a pickle (protocols 0 to 5, the opcodes of wire.md §14.9) as data. Tuples, lists and sets become arrays,
 * dicts plain objects with text keys, big integers bigints. Throws `internal` for anything else.
 */
export function loadPickle(bytes: Uint8Array): unknown {
  return new Reader(bytes).run();
}

const MARK = Symbol("mark");

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  readonly #text = new TextDecoder();
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): unknown {
    for (;;) {
      const op = this.#byte();
      if (op === 0x2e) return this.#pop();
      this.#step(op);
      if (this.#stack.length > MAX_DEPTH) throw broken("too deep");
    }
  }

  #step(op: number): void {
    const stack = this.#stack;
    switch (op) {
      case 0x80: // PROTO
        this.#take(1);
        return;
      case 0x95: // FRAME
        this.#take(8);
        return;
      case 0x28:
        stack.push(MARK);
        return;
      case 0x4e:
        stack.push(null);
        return;
      case 0x88:
        stack.push(true);
        return;
      case 0x89:
        stack.push(false);
        return;
      case 0x4a: // BININT
        stack.push(this.#view.getInt32(this.#skip(4), true));
        return;
      case 0x4b: // BININT1
        stack.push(this.#byte());
        return;
      case 0x4d: // BININT2
        stack.push(this.#view.getUint16(this.#skip(2), true));
        return;
      case 0x8a: // LONG1
        stack.push(long(this.#take(this.#byte())));
        return;
      case 0x8b: // LONG4
        stack.push(long(this.#take(this.#length32())));
        return;
      case 0x47: // BINFLOAT
        stack.push(this.#view.getFloat64(this.#skip(8)));
        return;
      case 0x8c: // SHORT_BINUNICODE
        stack.push(this.#string(this.#byte()));
        return;
      case 0x58: // BINUNICODE
        stack.push(this.#string(this.#length32()));
        return;
      case 0x8d: // BINUNICODE8
        stack.push(this.#string(this.#length64()));
        return;
      case 0x43: // SHORT_BINBYTES
        stack.push(this.#take(this.#byte()).slice());
        return;
      case 0x42: // BINBYTES
        stack.push(this.#take(this.#length32()).slice());
        return;
      default:
        this.#collect(op);
    }
  }

  #collect(op: number): void {
    const stack = this.#stack;
    switch (op) {
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
      case 0x8f: // EMPTY_SET
        stack.push([]);
        return;
      case 0x7d: // EMPTY_DICT
        stack.push({});
        return;
      case 0x61: { // APPEND
        const item = this.#pop();
        this.#list().push(item);
        return;
      }
      case 0x65: // APPENDS
      case 0x90: { // ADDITEMS
        const items = this.#sinceMark();
        const list = this.#list();
        for (const item of items) list.push(item);
        return;
      }
      case 0x74: // TUPLE
      case 0x91: // FROZENSET
        stack.push(this.#sinceMark());
        return;
      case 0x85:
      case 0x86:
      case 0x87: { // TUPLE1..3
        const count = op - 0x84;
        if (stack.length < count) throw broken("stack is empty");
        stack.push(stack.splice(stack.length - count, count));
        return;
      }
      case 0x73: { // SETITEM
        const value = this.#pop();
        const key = this.#pop();
        put(this.#top(), key, value);
        return;
      }
      case 0x75: { // SETITEMS
        const items = this.#sinceMark();
        const target = this.#top();
        for (let i = 0; i + 1 < items.length; i += 2) put(target, items[i], items[i + 1]);
        return;
      }
      case 0x30: // POP
        this.#pop();
        return;
      default:
        this.#make(op);
    }
  }

  #make(op: number): void {
    const stack = this.#stack;
    switch (op) {
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top());
        return;
      case 0x71: // BINPUT
        this.#memo.set(this.#byte(), this.#top());
        return;
      case 0x72: // LONG_BINPUT
        this.#memo.set(this.#length32(), this.#top());
        return;
      case 0x68: // BINGET
        stack.push(this.#recall(this.#byte()));
        return;
      case 0x6a: // LONG_BINGET
        stack.push(this.#recall(this.#length32()));
        return;
      case 0x63: { // GLOBAL
        const module = this.#line();
        stack.push(global(`${module}.${this.#line()}`));
        return;
      }
      case 0x93: { // STACK_GLOBAL
        const name = this.#pop();
        const module = this.#pop();
        if (typeof name !== "string" || typeof module !== "string") throw broken("bad class name");
        stack.push(global(`${module}.${name}`));
        return;
      }
      case 0x52: // REDUCE
      case 0x81: { // NEWOBJ
        const args = this.#pop();
        stack.push(object(this.#pop(), args));
        return;
      }
      case 0x92: { // NEWOBJ_EX
        this.#pop(); // keyword arguments
        const args = this.#pop();
        stack.push(object(this.#pop(), args));
        return;
      }
      case 0x62: { // BUILD
        const state = this.#pop();
        const target = this.#top();
        if (!isObject(target)) throw broken("state without an object");
        target.state = state;
        return;
      }
      default:
        throw broken(`unknown opcode 0x${op.toString(16)}`);
    }
  }

  #skip(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw broken("cut short");
    this.#at += count;
    return at;
  }

  #byte(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  #take(count: number): Uint8Array {
    const at = this.#skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  #length32(): number {
    return this.#view.getUint32(this.#skip(4), true);
  }

  #length64(): number {
    return Number(this.#view.getBigUint64(this.#skip(8), true));
  }

  #string(length: number): string {
    return this.#text.decode(this.#take(length));
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw broken("cut short");
    const text = this.#string(end - this.#at);
    this.#at++;
    return text;
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #top(): unknown {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw broken("stack is empty");
    return value;
  }

  #list(): unknown[] {
    const list = this.#top();
    if (!Array.isArray(list)) throw broken("items without a list");
    return list;
  }

  #sinceMark(): unknown[] {
    const at = this.#stack.lastIndexOf(MARK);
    if (at < 0) throw broken("no mark");
    const items = this.#stack.splice(at);
    items.shift();
    return items;
  }

  #recall(index: number): unknown {
    const value = this.#memo.get(index);
    if (value === undefined) throw broken("unknown memo");
    return value;
  }
}

class Global {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

function global(name: string): Global {
  return new Global(name);
}

function object(callee: unknown, args: unknown): PickledObject {
  if (!(callee instanceof Global) || !Array.isArray(args)) throw broken("call of something odd");
  return { class: callee.name, args: args.map(plain), state: null };
}

function plain(value: unknown): unknown {
  return value instanceof Global ? value.name : value;
}

function isObject(value: unknown): value is PickledObject {
  return value !== null && typeof value === "object" && "class" in value && "state" in value;
}

function put(target: unknown, key: unknown, value: unknown): void {
  if (target === null || typeof target !== "object" || Array.isArray(target)) {
    throw broken("items without a dict");
  }
  // defineProperty: a key `__proto__` stays data
  Object.defineProperty(target, String(key), {
    value: plain(value),
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

function long(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  if (((bytes.at(-1) ?? 0) & 0x80) !== 0) value -= 1n << BigInt(8 * bytes.length);
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

function broken(reason: string): SkyError {
  return new SkyError("internal", `Cannot read a pickled value of the server: ${reason}`);
}
