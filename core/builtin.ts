/**
 * Node's built-in modules, by call. An import statement of one costs every start 0.4 ms, whether it is used or not,
 * which is why the modules that every command loads have none. Pure: what is done with them is the caller's.
 */

interface Builtins {
  "node:crypto": typeof import("node:crypto");
  "node:fs": typeof import("node:fs");
  "node:os": typeof import("node:os");
  "node:process": typeof import("node:process");
}

const { process } = globalThis as unknown as { process: { getBuiltinModule(name: string): unknown } };

export function builtin<K extends keyof Builtins>(name: K): Builtins[K] {
  return process.getBuiltinModule(name) as Builtins[K];
}
