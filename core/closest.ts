/** "Did you mean": the nearest known words by Python difflib's ratio (domain.md §1.1, cli.md §1.2). Pure. */

interface Nearest {
  /** At most so many. Default 1. */
  readonly count?: number;
  /** Least similarity, 0 to 1. Default 0.6. */
  readonly cutoff?: number;
}

/** Known words close to `word`, best first. Words over 100 characters are never close to anything. */
export function closeMatches(word: string, known: Iterable<string>, options: Nearest = {}): string[] {
  const { count = 1, cutoff = 0.6 } = options;
  // The ratio costs up to the cube of the length; nobody mistypes a name that long.
  if (word.length > 100) return [];
  const scored: { name: string; score: number }[] = [];
  for (const name of known) {
    const score = similarity(name, word);
    if (score >= cutoff) scored.push({ name, score });
  }
  scored.sort((a, b) => b.score - a.score || (a.name < b.name ? 1 : -1));
  return scored.slice(0, count).map(({ name }) => name);
}

/** Ratcliff-Obershelp similarity: twice the matching characters over all characters, 0 to 1. */
export function similarity(a: string, b: string): number {
  if (a.length + b.length === 0) return 1;
  return 2 * matching(a, b) / (a.length + b.length);
}

function matching(a: string, b: string): number {
  if (a === "" || b === "") return 0;
  let [bestA, bestB, length] = [0, 0, 0];
  let previous = new Array<number>(b.length + 1).fill(0);
  for (let i = 0; i < a.length; i++) {
    const row = new Array<number>(b.length + 1).fill(0);
    for (let j = 0; j < b.length; j++) {
      if (a[i] !== b[j]) continue;
      const run = (previous[j] ?? 0) + 1;
      row[j + 1] = run;
      if (run > length) [bestA, bestB, length] = [i - run + 1, j - run + 1, run];
    }
    previous = row;
  }
  if (length === 0) return 0;
  return length + matching(a.slice(0, bestA), b.slice(0, bestB)) +
    matching(a.slice(bestA + length), b.slice(bestB + length));
}
