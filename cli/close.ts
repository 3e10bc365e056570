/** Did-you-mean: which known words are close to a mistyped one. The measure is the reference's (difflib). Pure. */

const CUTOFF = 0.6;
const MOST = 3;

/** At most three, best first; empty when none is close. */
export function closeMatches(word: string, known: readonly string[]): string[] {
  return known
    .map((one) => ({ one, score: similarity(one, word) }))
    .filter(({ score }) => score >= CUTOFF)
    .toSorted((a, b) => b.score - a.score || (a.one < b.one ? 1 : -1))
    .slice(0, MOST)
    .map(({ one }) => one);
}

/** Ratcliff-Obershelp: twice the matching characters by the total length, 0 to 1. */
export function similarity(a: string, b: string): number {
  const total = a.length + b.length;
  return total === 0 ? 1 : 2 * matching(a, b) / total;
}

function matching(a: string, b: string): number {
  let best = { size: 0, atA: 0, atB: 0 };
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      let size = 0;
      while (i + size < a.length && j + size < b.length && a[i + size] === b[j + size]) size++;
      if (size > best.size) best = { size, atA: i, atB: j };
    }
  }
  if (best.size === 0) return 0;
  return best.size + matching(a.slice(0, best.atA), b.slice(0, best.atB)) +
    matching(a.slice(best.atA + best.size), b.slice(best.atB + best.size));
}
