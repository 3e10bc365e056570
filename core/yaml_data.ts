/**
 * YAML nodes to plain data: PyYAML's scalars, merge keys, duplicate keys refused, alias expansion bounded. The `yaml`
 * package's own conversion is quadratic in keys and aliases, so a small hostile file would stop the server. Pure.
 */
import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type Scalar, type YAMLMap } from "yaml";
import { pyRepr, pyStr } from "./format.ts";
import type { ParsedYaml } from "./yaml_reader.ts";
import { resolvePlain, resolveTagged, type ScalarValue } from "./yaml_scalars.ts";

/** Characters plus 16 per value, a shared value counted as often as it is used. */
const MAX_EXPANDED = 40_000_000;
const TAG_PREFIX = "tag:yaml.org,2002:";

interface Converted {
  readonly value: unknown;
  /** What it adds to the expanded size each time it is used. */
  readonly weight: number;
}

/**
 * Plain data of one parsed document; null for an empty one. Values of the top-level keys in `asText` become text as
 * Python's `str` writes them (`1.0` stays `1.0`, true is `True`); nulls stay null.
 */
export function toData(parsed: ParsedYaml, asText: readonly string[] = []): unknown {
  return new Converter(parsed.fail).document(parsed.contents, asText);
}

/** Character offset at which a node's value begins. */
export function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function anchorOf(node: Node & { anchor?: string }): string | undefined {
  return node.anchor;
}

type Item = (node: Node | null) => unknown;

interface MapReading {
  readonly item: Item;
  /** Keys whose values are maps of text. */
  readonly sections?: readonly string[];
}

class Converter {
  readonly #fail: ParsedYaml["fail"];
  readonly #anchors = new Map<string, Node>();
  readonly #done = new Map<Node, Converted>();
  /** Collections being converted: an alias to one of them would never end. */
  readonly #open = new Set<Node>();
  #expanded = 0;

  constructor(fail: ParsedYaml["fail"]) {
    this.#fail = fail;
  }

  document(root: Node | null, asText: readonly string[]): unknown {
    if (!isMap(root) || asText.length === 0) return this.#data(root);
    return this.#map(root, { item: (node) => this.#data(node), sections: asText });
  }

  #data(node: Node | null): unknown {
    // Nobody comes back to a node without a name.
    if (node !== null && !isAlias(node) && anchorOf(node) === undefined) return this.#own(node);
    return this.#convert(node).value;
  }

  #convert(node: Node | null): Converted {
    if (node === null) return { value: null, weight: 16 };
    if (isAlias(node)) {
      const target = this.#target(node.source, node);
      const known = this.#done.get(target);
      if (known === undefined) return this.#convert(target);
      this.#grow(known.weight, node);
      return known;
    }
    const before = this.#expanded;
    const value = this.#own(node);
    const result = { value, weight: this.#expanded - before };
    this.#done.set(node, result);
    return result;
  }

  #own(node: Node): unknown {
    return isScalar(node) ? this.#scalar(node).value : this.#collection(node);
  }

  #collection(node: Node): unknown {
    if (isMap(node)) return this.#map(node, { item: (value) => this.#data(value) });
    if (!isSeq(node)) return this.#fail("found an unknown node", offsetOf(node));
    this.#enter(node, "seq");
    const items = (node.items as Node[]).map((item) => this.#data(item));
    if (anchorOf(node) !== undefined) this.#open.delete(node);
    return items;
  }

  #map(node: YAMLMap, { item, sections = [] }: MapReading): Record<string, unknown> {
    this.#enter(node, "map");
    const own = new Map<string, unknown>();
    const merged = new Map<string, unknown>();
    for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
      if (isScalar(key) && key.type === "PLAIN" && key.value === "<<") {
        for (const [name, found] of this.#mergeEntries(value, item)) {
          if (!merged.has(name)) merged.set(name, found);
        }
        continue;
      }
      const name = this.#key(key);
      if (own.has(name)) this.#fail(`found duplicate key ${pyRepr(name)}`, offsetOf(key));
      own.set(name, sections.includes(name) ? this.#section(value) : item(value));
    }
    if (anchorOf(node) !== undefined) this.#open.delete(node);
    // fromEntries defines its keys, so `__proto__` is a key like any other.
    return Object.fromEntries([...[...merged].filter(([name]) => !own.has(name)), ...own]);
  }

  #mergeEntries(node: Node | null, item: Item): [string, unknown][] {
    const source = this.#resolved(node);
    const parts = isSeq(source) ? source.items as Node[] : [source];
    return parts.flatMap((part) => {
      const target = this.#resolved(part);
      if (isMap(target)) return Object.entries(this.#map(target, { item }));
      return this.#fail("expected a mapping or list of mappings for merging", target ? offsetOf(target) : 0);
    });
  }

  #section(node: Node | null): unknown {
    const target = this.#resolved(node);
    return isMap(target) ? this.#map(target, { item: (value) => this.#text(value) }) : this.#data(node);
  }

  #text(node: Node | null): string | null {
    const target = this.#resolved(node);
    if (target === null) return null;
    return isScalar(target) ? this.#scalar(target).text : pyRepr(this.#data(node));
  }

  #resolved(node: Node | null): Node | null {
    return isAlias(node) ? this.#target(node.source, node) : node;
  }

  #target(name: string, alias: Node): Node {
    const target = this.#anchors.get(name);
    if (target === undefined) return this.#fail(`found undefined alias ${pyRepr(name)}`, offsetOf(alias));
    if (this.#open.has(target)) return this.#fail("found unconstructable recursive node", offsetOf(alias));
    return target;
  }

  #enter(node: Node & { tag?: string; anchor?: string }, kind: "map" | "seq"): void {
    const tag = node.tag ?? "";
    if (tag !== "" && tag !== `${TAG_PREFIX}${kind}` && tag !== "!") this.#badTag(tag, node);
    this.#anchor(node);
    this.#grow(16, node);
    if (node.anchor !== undefined) this.#open.add(node);
  }

  #scalar(node: Scalar): ScalarValue {
    this.#anchor(node);
    const source = typeof node.value === "string" ? node.value : "";
    this.#grow(16 + source.length, node);
    const tag = node.tag ?? "";
    if (tag === "" || tag === "!") {
      return node.type === "PLAIN" && tag === "" ? resolvePlain(source) : { value: source, text: source };
    }
    const name = tag.startsWith(TAG_PREFIX) ? tag.slice(TAG_PREFIX.length) : "";
    return resolveTagged(name, source) ?? this.#badTag(tag, node);
  }

  #anchor(node: Node & { anchor?: string }): void {
    const name = node.anchor;
    if (name === undefined || this.#anchors.get(name) === node) return;
    if (this.#anchors.has(name)) this.#fail(`found duplicate anchor ${pyRepr(name)}`, offsetOf(node));
    this.#anchors.set(name, node);
  }

  #key(node: Node): string {
    const target = this.#resolved(node);
    if (isScalar(target)) return pyStr(this.#scalar(target).text);
    return this.#fail("found unhashable key", offsetOf(node));
  }

  #grow(weight: number, node: Node): void {
    this.#expanded += weight;
    if (this.#expanded > MAX_EXPANDED) this.#fail("its aliases expand to more than 40 MB", offsetOf(node));
  }

  #badTag(tag: string, node: Node): never {
    return this.#fail(`could not determine a constructor for the tag ${pyRepr(tag)}`, offsetOf(node));
  }
}
