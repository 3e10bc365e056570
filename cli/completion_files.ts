/** Shell completion scripts and their installation into the user's shell (cli.md §9.6). */
import { basename, dirname, join } from "@std/path";
import { describe } from "../core/errors.ts";
import { type Env, userHome } from "../core/paths.ts";
import { usage } from "./parse.ts";
import type { Terminal } from "./terminal.ts";

interface Place {
  readonly out: Terminal;
  readonly env: Env;
}

const BASH = `_sky_completion() {
    local IFS=$'\\n'
    local response type value
    response=$(env COMP_WORDS="\${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _SKY_COMPLETE=bash_complete $1 2>/dev/null)
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
        fi
    done
    return 0
}
complete -o nosort -F _sky_completion sky
`;

const ZSH = `#compdef sky
_sky_completion() {
    local -a completions
    local -a completions_with_descriptions
    local -a response
    (( ! $+commands[sky] )) && return 1
    response=("\${(@f)$(env COMP_WORDS="\${words[*]}" COMP_CWORD=$((CURRENT-1)) _SKY_COMPLETE=zsh_complete sky 2>/dev/null)}")
    for type key descr in \${response}; do
        if [[ "$type" == "plain" ]]; then
            if [[ "$descr" == "_" ]]; then
                completions+=("$key")
            else
                completions_with_descriptions+=("$key":"$descr")
            fi
        elif [[ "$type" == "dir" ]]; then
            _path_files -/
        elif [[ "$type" == "file" ]]; then
            _path_files -f
        fi
    done
    if [ -n "$completions_with_descriptions" ]; then
        _describe -V unsorted completions_with_descriptions -U
    fi
    if [ -n "$completions" ]; then
        compadd -U -V unsorted -a completions
    fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _sky_completion "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _sky_completion sky
fi
`;

const FISH = `function _sky_completion;
    set -l response (env _SKY_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) sky 2>/dev/null);
    for completion in $response;
        set -l metadata (string split -m 1 "," $completion);
        if test $metadata[1] = "dir";
            __fish_complete_directories $metadata[2];
        else if test $metadata[1] = "file";
            __fish_complete_path $metadata[2];
        else if test $metadata[1] = "plain";
            echo $metadata[2];
        end;
    end;
end;
complete --no-files --command sky --arguments "(_sky_completion)";
`;

const SCRIPTS: ReadonlyMap<string, string> = new Map([["bash", BASH], ["zsh", ZSH], ["fish", FISH]]);
const MARK = "# For SkyPilot shell completion";

/** The script of a shell; undefined for one we have none for. */
export function completionScript(shell: string): string | undefined {
  return SCRIPTS.get(shell);
}

/** `--install-shell-completion`: write the script, and for bash and zsh name it once in the rc file. */
export async function install(shell: string, place: Place): Promise<number> {
  return await change(shell, place, async (files) => {
    await Deno.mkdir(dirname(files.script), { recursive: true });
    await Deno.writeTextFile(files.script, SCRIPTS.get(files.shell) ?? "");
    if (files.rc !== null) {
      const before = await readIfThere(files.rc);
      if (!before.includes("SkyPilot")) {
        await Deno.writeTextFile(files.rc, `${before}\n${MARK}\n. ~/.sky/.sky-complete.${files.shell}\n`);
      }
    }
    return "installed";
  });
}

/** `--uninstall-shell-completion`: undo exactly what `install` did. */
export async function uninstall(shell: string, place: Place): Promise<number> {
  return await change(shell, place, async (files) => {
    await removeIfThere(files.script);
    if (files.rc !== null) {
      const before = await readIfThere(files.rc);
      const after = before.replaceAll(`\n${MARK}\n. ~/.sky/.sky-complete.${files.shell}\n`, "");
      if (after !== before) await Deno.writeTextFile(files.rc, after);
    }
    return "uninstalled";
  });
}

interface Files {
  readonly shell: string;
  readonly script: string;
  readonly rc: string | null;
  /** What to type so that it takes effect now. */
  readonly reload: string;
}

async function change(
  shell: string,
  { out, env }: Place,
  work: (files: Files) => Promise<"installed" | "uninstalled">,
): Promise<number> {
  const files = filesOf(shell === "auto" ? detect(env) : shell, env);
  try {
    const done = await work(files);
    out.line(out.style.green(`Shell completion ${done} for ${files.shell}`));
    const subject = done === "installed" ? "Completion" : "Changes";
    out.line(`${subject} will take effect once you restart the terminal: ${out.style.bold(files.reload)}`);
    return 0;
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotADirectory)) {
      throw error;
    }
    out.error(out.style.red(`> Installation failed: ${describe(error)}`));
    return 1;
  }
}

function detect(env: Env): string {
  const shell = basename(env("SHELL") ?? "");
  if (SCRIPTS.has(shell)) return shell;
  throw usage("Cannot auto-detect shell. Please specify shell explicitly.");
}

function filesOf(shell: string, env: Env): Files {
  const home = userHome(env);
  if (shell === "fish") {
    const file = "completions/sky.fish";
    return {
      shell,
      script: join(home, ".config/fish", file),
      rc: null,
      reload: `source ~/.config/fish/${file}`,
    };
  }
  return {
    shell,
    script: join(home, `.sky/.sky-complete.${shell}`),
    rc: join(home, `.${shell}rc`),
    reload: `source ~/.${shell}rc`,
  };
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
