/** Tables as text (cli.md §1.7): plain ones and the bordered one of the optimizer. ANSI-aware. Pure. */
import { stripAnsi } from "./ansi.ts";

/** Terminal cells that a text takes: escape sequences and joiners none, wide glyphs two. */
export function displayWidth(text: string): number {
  const plain = stripAnsi(text);
  if (/^[\x20-\x7e]*$/.test(plain)) return plain.length;
  const { zero, wide } = glyphs ??= makeGlyphs();
  let width = 0;
  for (const char of plain) if (!zero.test(char)) width += wide.test(char) ? 2 : 1;
  return width;
}

let glyphs: ReturnType<typeof makeGlyphs> | undefined;

/**
 * The npm build of std's unicode width lacks its data file, so the widths are told from Unicode properties. Texts, not
 * literals, which would be looked up at every start: that takes a millisecond.
 */
function makeGlyphs() {
  const scripts = ["Han", "Hiragana", "Katakana", "Hangul", "Bopomofo", "Yi"].map((name) =>
    `\\p{Script=${name}}`
  );
  const half = "\\uff61-\\uffdc";
  const full = "\\u3000-\\u303e\\u30fb\\u30fc\\uff01-\\uff60\\uffe0-\\uffe6";
  return {
    zero: new RegExp("^[\\p{Mn}\\p{Me}\\p{Cf}\\p{Cc}]$", "u"),
    wide: new RegExp(`^(?![${half}])[\\p{Emoji_Presentation}${scripts.join("")}${full}]$`, "u"),
  };
}

/** Pads on the right to `width` cells; never cuts. */
export function padCell(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - displayWidth(text)));
}

/**
 * No borders: every column left-aligned, padded to its widest cell, two spaces after each, the last included.
 * Cells must hold no line breaks. Lines are joined by \n without a final one; without rows only the header.
 */
export function plainTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(header, rows);
  const line = (cells: readonly string[]) =>
    widths.map((width, i) => `${padCell(cells[i] ?? "", width)}  `).join("");
  return [header, ...rows].map(line).join("\n");
}

/** The optimizer's table: rules of dashes around header and rows, cells one space in and two after. */
export function borderedTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(header, rows);
  const line = (cells: readonly string[]) =>
    `${widths.map((width, i) => ` ${padCell(cells[i] ?? "", width)}  `).join("")} `;
  const rule = "-".repeat(widths.reduce((sum, width) => sum + width + 3, 1));
  return [rule, line(header), rule, ...rows.map(line), rule].join("\n");
}

function columnWidths(header: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return header.map((title, i) =>
    rows.reduce((widest, row) => Math.max(widest, displayWidth(row[i] ?? "")), displayWidth(title))
  );
}
