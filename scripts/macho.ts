/**
 * Takes a program that `deno compile` made for macOS apart again: gives back the base executable it was built on.
 * Structure is all that is restored; the code signature is made anew by the next compile. Only for
 * SKY_DENORT=npm (denort.ts), which checks the result by hash.
 */

const LC = {
  symtab: 0x2,
  dysymtab: 0xb,
  segment64: 0x19,
  codeSignature: 0x1d,
  functionStarts: 0x26,
  dataInCode: 0x29,
  dyldInfo: 0x80000022,
};

interface Command {
  readonly kind: number;
  readonly at: number;
  readonly size: number;
}

/** Load commands of a 64-bit little-endian Mach-O file. */
function commands(view: DataView): Command[] {
  if (view.getUint32(0, true) !== 0xfeedfacf) {
    throw new Error("Cannot take the base apart: not a 64-bit Mach-O file");
  }
  const found: Command[] = [];
  let at = 32;
  for (let i = 0; i < view.getUint32(16, true); i++) {
    const size = view.getUint32(at + 4, true);
    found.push({ kind: view.getUint32(at, true), at, size });
    at += size;
  }
  return found;
}

function segment(bytes: Uint8Array, view: DataView, name: string): Command | undefined {
  return commands(view).find(({ kind, at }) =>
    kind === LC.segment64 &&
    new TextDecoder().decode(bytes.subarray(at + 8, at + 24)).replace(/\0+$/, "") === name
  );
}

/** x64: the payload was appended to the string table. `size` is the length of the base. */
export function cutAppended(program: Uint8Array, size: number): Uint8Array {
  const base = program.slice(0, size);
  const view = new DataView(base.buffer);
  const linkedit = segment(base, view, "__LINKEDIT");
  const symtab = commands(view).find(({ kind }) => kind === LC.symtab);
  if (linkedit === undefined || symtab === undefined) {
    throw new Error("Cannot take the base apart: no __LINKEDIT");
  }
  const length = BigInt(size) - view.getBigUint64(linkedit.at + 40, true);
  view.setBigUint64(linkedit.at + 32, length, true);
  view.setBigUint64(linkedit.at + 48, length, true);
  view.setUint32(symtab.at + 20, size - view.getUint32(symtab.at + 16, true), true);
  return base;
}

/** arm64: the payload is a segment `__SUI` of its own before `__LINKEDIT`: take it out, move the rest back. */
export function dropSegment(program: Uint8Array): Uint8Array {
  const view = new DataView(program.slice().buffer);
  const source = new Uint8Array(view.buffer);
  const sui = segment(source, view, "__SUI");
  const linkedit = segment(source, view, "__LINKEDIT");
  if (sui === undefined || linkedit === undefined) {
    throw new Error("Cannot take the base apart: no __SUI segment");
  }
  const [address, from, length] = [24, 40, 48].map((field) => view.getBigUint64(sui.at + field, true)) as [
    bigint,
    bigint,
    bigint,
  ];
  const shift = Number(length);
  view.setBigUint64(linkedit.at + 24, address, true);
  view.setBigUint64(linkedit.at + 40, from, true);
  const moveBack = (at: number) => {
    const offset = view.getUint32(at, true);
    if (offset !== 0) view.setUint32(at, offset - shift, true);
  };
  for (const { kind, at } of commands(view)) {
    if (kind === LC.symtab) [8, 16].forEach((field) => moveBack(at + field));
    else if (kind === LC.dysymtab) [32, 40, 48, 56, 64, 72].forEach((field) => moveBack(at + field));
    else if (kind === LC.dyldInfo) [8, 16, 24, 32, 40].forEach((field) => moveBack(at + field));
    else if ([LC.codeSignature, LC.functionStarts, LC.dataInCode].includes(kind)) moveBack(at + 8);
  }
  // Close the gap in the load commands, then in the file.
  const end = 32 + view.getUint32(20, true);
  source.copyWithin(sui.at, sui.at + sui.size, end);
  source.fill(0, end - sui.size, end);
  view.setUint32(16, view.getUint32(16, true) - 1, true);
  view.setUint32(20, view.getUint32(20, true) - sui.size, true);
  const base = new Uint8Array(source.length - shift);
  base.set(source.subarray(0, Number(from)));
  base.set(source.subarray(Number(from) + shift), Number(from));
  return base;
}
