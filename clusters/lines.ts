/** The shapes of the lines people see from a launch (cli.md §1.6): glyphs and hints. Texts are the callers'. Pure. */
import { bold, dim, green, red, RESET, yellow } from "../core/ansi.ts";

/** `⚙︎ …`: something begins. */
export function starting(text: string): string {
  return `${RESET}⚙︎ ${text}`;
}

/** `✓ …`: something is done; `hint` follows after two spaces. */
export function finishing(text: string, hint: string | null = null): string {
  return `${RESET}${green(`✓ ${text}`)}${RESET}${after(hint)}`;
}

/** `⨯ …`: something failed. */
export function failing(text: string, hint: string | null = null): string {
  return `${RESET}${red("⨯")} ${text}${after(hint)}`;
}

/** `↺ …`: it is tried again. */
export function retrying(text: string, hint: string | null = null): string {
  return `${RESET}${yellow("↺")} ${text}${after(hint)}`;
}

/** `├── …`, or `└── …` for the last one. */
export function branch(text: string, options: { last: boolean }): string {
  return `${dim(options.last ? "└── " : "├── ")}${text}`;
}

/** `View logs: sky logs --provision c` */
export function provisionHint(clusterName: string): string {
  return dim(`View logs: ${bold(`sky logs --provision ${clusterName}`)}`);
}

/** Spinner text in rich markup: bold cyan; for a cluster's provisioning with a dim hint. */
export function spinning(text: string, clusterName: string | null = null): string {
  const hint = clusterName === null ? "" : `  [dim]View logs: sky logs --provision ${clusterName}[/]`;
  return `[bold cyan]${text.replaceAll("[", "\\[")}[/]${hint}`;
}

function after(hint: string | null): string {
  return hint === null ? "" : `  ${hint}`;
}
