/** The shapes of the lines people see from a launch (cli.md §1.6). Owns glyphs and colours; texts are the callers'. */

const RESET = "\x1b[0m";
const BOLD = "\x1b[1m";
const DIM = "\x1b[2m";
const RED = "\x1b[31m";
const GREEN = "\x1b[32m";
const YELLOW = "\x1b[33m";
const CYAN = "\x1b[36m";

export function dim(text: string): string {
  return `${DIM}${text}${RESET}`;
}
export function bold(text: string): string {
  return `${BOLD}${text}${RESET}`;
}
export function red(text: string): string {
  return `${RED}${text}${RESET}`;
}
export function green(text: string): string {
  return `${GREEN}${text}${RESET}`;
}
export function yellow(text: string): string {
  return `${YELLOW}${text}${RESET}`;
}
export function cyan(text: string): string {
  return `${CYAN}${text}${RESET}`;
}

/** `⚙︎ …`: something begins. */
export function starting(text: string): string {
  return `${RESET}⚙︎ ${text}`;
}

/** `✓ …`: something is done; `hint` follows after two spaces. */
export function finishing(text: string, hint: string | null = null): string {
  return `${RESET}${GREEN}✓ ${text}${RESET}${RESET}${hint === null ? "" : `  ${hint}`}`;
}

/** `⨯ …`: something failed. */
export function failing(text: string, hint: string | null = null): string {
  return `${RESET}${RED}⨯${RESET} ${text}${hint === null ? "" : `  ${hint}`}`;
}

/** `↺ …`: it is tried again. */
export function retrying(text: string, hint: string | null = null): string {
  return `${RESET}${YELLOW}↺${RESET} ${text}${hint === null ? "" : `  ${hint}`}`;
}

/** `├── …`, or `└── …` for the last one. */
export function branch(text: string, options: { last: boolean }): string {
  return `${DIM}${options.last ? "└── " : "├── "}${RESET}${text}`;
}

/** `View logs: sky logs --provision c` */
export function provisionHint(clusterName: string): string {
  return `${DIM}View logs: ${BOLD}sky logs --provision ${clusterName}${RESET}${RESET}`;
}

/** Spinner text in rich markup: bold cyan, with a dim hint. */
export function spinning(text: string, clusterName: string | null = null): string {
  const hint = clusterName === null ? "" : `  [dim]View logs: sky logs --provision ${clusterName}[/]`;
  return `[bold cyan]${escapeMarkup(text)}[/]${hint}`;
}

function escapeMarkup(text: string): string {
  return text.replaceAll("[", "\\[");
}

/** `1 node`, `2 nodes`. */
export function nodes(count: number): string {
  return count === 1 ? "1 node" : `${count} nodes`;
}

/** Python's repr of a text: single quotes, double when it holds a single one. */
export function quoted(text: string): string {
  return text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("'", "\\'")}'`;
}
