/**
 * What runs on a host for the sake of a cluster's node: making its home, looking at it, ending it. Owns these shell
 * texts and the layout of homes; POSIX shell, and no value is ever put into a text. Pure.
 *
 * `~/.sky/nodes/<server id>/<name on cloud>/node<i>` is the HOME of node i. In it `.sky/node` says `up` or `stopped`;
 * a home without it was made in part only.
 */
import { JOB_KEY } from "../transport/job_files.ts";
import { END_ALL } from "../transport/node/end_processes.ts";

/** Arguments of every text here: server id, name on cloud, node index. */
export type Where = readonly [serverId: string, nameOnCloud: string, node: string];

export function homeOf(login: string, [serverId, nameOnCloud, node]: Where): string {
  return `${login === "/" ? "" : login}/.sky/nodes/${serverId}/${nameOnCloud}/node${node}`;
}

/** Sets sky_home; leaves the arguments behind it. Without a HOME of its own a host tells nothing. */
const HOME = `
[ -d "$HOME" ] || { echo "the login user has no home directory" >&2; exit 20; }
sky_nodes=$HOME/.sky/nodes
sky_cluster=$sky_nodes/$1/$2
sky_home=$sky_cluster/node$3
shift 3
`;

/**
 * Make the home, or complete it, and say that it is up. Parents may vanish meanwhile with the last node of another
 * cluster, so making them is tried again. The login user's own ~/.bashrc holds in jobs, too, and sees the HOME it
 * was written for.
 */
export const MAKE_NODE = `${HOME}
umask 077
sky_made=
for sky_try in 1 2 3; do
  mkdir -p -- "$sky_home/.sky" "$sky_home/sky_workdir" "$sky_home/sky_logs" && sky_made=1 && break
done
[ -n "$sky_made" ] || exit 21
if ! [ -e "$sky_home/.bashrc" ]; then
  sky_quoted=$(printf '%s' "$HOME" | sed "s/'/'\\\\\\\\''/g") || exit 21
  {
    echo "# Made by sky: settings of the login user hold here, too."
    printf "if [ -f '%s/.bashrc' ]; then\\n" "$sky_quoted"
    printf "  SKY_NODE_HOME=\\$HOME\\n  HOME='%s'\\n  . '%s/.bashrc'\\n" "$sky_quoted" "$sky_quoted"
    printf '  HOME=$SKY_NODE_HOME\\n  unset SKY_NODE_HOME\\nfi\\n'
  } >"$sky_home/.sky/bashrc.$$" && mv -f -- "$sky_home/.sky/bashrc.$$" "$sky_home/.bashrc" || exit 21
fi
echo up >"$sky_home/.sky/node.$$" && mv -f -- "$sky_home/.sky/node.$$" "$sky_home/.sky/node" || exit 21
printf 'home=%s\\n' "$HOME"
printf 'user=%s\\n' "$(id -un 2>/dev/null)"
printf 'connection=%s\\n' "$SSH_CONNECTION"
echo made
`;

/** Prints one word: \`up\`, \`stopped\`, \`partial\` or \`gone\`. */
export const LOOK = `${HOME}
sky_state=
if read -r sky_state 2>/dev/null <"$sky_home/.sky/node"; then
  case $sky_state in up|stopped) echo "$sky_state" ;; *) echo partial ;; esac
elif [ -e "$sky_home" ] || [ -L "$sky_home" ]; then
  echo partial
else
  echo gone
fi
`;

/** How many logins of people, with a terminal, this login user has. */
export const LOGINS = `
printf '%s\\n' ": $(id -un)@pts/" | grep -lsF -f - /proc/[0-9]*/cmdline | wc -l
`;

/**
 * Sets up sky_end_home: ends every process of the home $sky_home, with $sky_grace seconds (hundredths) between TERM
 * and KILL, and proves it. First the jobs that are not over, session by session; then whatever carries their mark.
 */
export const END_HOME = `
${END_ALL}
sky_end_home() {
  sky_nl='
'
  read -r sky_boot 2>/dev/null </proc/sys/kernel/random/boot_id || sky_boot=-
  for sky_file in "$sky_home"/sky_logs/*/.job/*/pid; do
    [ -f "$sky_file" ] || continue
    sky_job=\${sky_file%/pid}
    [ ! -e "$sky_job/exit" ] || continue
    sky_id=$(head -c 700 "$sky_file" 2>/dev/null)
    [ "\${sky_id#*"$sky_nl"}" = "$sky_boot" ] || continue
    sky_id=\${sky_id%%"$sky_nl"*}
    sky_leader=\${sky_id%% *}
    set -f
    set -- \${sky_id##*) }
    set +f
    sky_start=\${20} sky_session=$4
    case $sky_leader$sky_session in *[!0-9]*) continue ;; esac
    [ -n "$sky_start" ] && [ -n "$sky_leader" ] && [ -n "$sky_session" ] || continue
    sky_mark=${JOB_KEY}=$sky_job sky_out=$sky_job/log sky_hunt=
    sky_end_all || return 1
  done
  sky_leader= sky_start= sky_session= sky_out= sky_hunt=1
  sky_mark=${JOB_KEY}=$sky_home/
  sky_end_all
}
sky_marked() {
  [ -n "$sky_mark" ] || return 1
  case "
$(tr '\\0' '\\n' <"/proc/$1/environ")" in *"
$sky_mark"*) return 0 ;; esac
  return 1
} 2>/dev/null
`;

/**
 * Removes the home $sky_home of the cluster $sky_cluster: first the links that uploads made outside of it, as far as
 * they still lead there (\`.sky/links\` lists them as JSON texts), then all of it, whatever modes its directories have.
 */
export const REMOVE_HOME = `
while IFS= read -r sky_link; do
  case $sky_link in '"'*'"') ;; *) continue ;; esac
  sky_link=\${sky_link#?} sky_link=\${sky_link%?}
  case $sky_link in *\\\\*) sky_link=$(printf '%s' "$sky_link" | sed 's/\\\\\\(["\\\\]\\)/\\1/g') ;; esac
  case $(readlink "$sky_link" 2>/dev/null) in "$sky_cluster"/*) rm -f -- "$sky_link" ;; esac
done 2>/dev/null <"$sky_home/.sky/links"
rm -rf -- "$sky_home" 2>/dev/null || {
  find "$sky_home" -type d -exec chmod u+rwx {} + 2>/dev/null
  rm -rf -- "$sky_home"
}
`;

/** After the arguments above: grace in seconds, with hundredths. Prints \`stopped\`, or \`gone\` if it is not there. */
export const STOP_NODE = `${HOME}
sky_grace=$1
[ -d "$sky_home" ] || { echo gone; exit 0; }
rm -f -- "$sky_home/.sky/guard"
umask 077
mkdir -p -- "$sky_home/.sky" && echo stopped >"$sky_home/.sky/node.$$" &&
  mv -f -- "$sky_home/.sky/node.$$" "$sky_home/.sky/node" || exit 21
${END_HOME}
sky_end_home || exit 9
echo stopped
`;

/** As STOP_NODE, but nothing is left. Prints \`gone\`. */
export const END_NODE = `${HOME}
sky_grace=$1
if [ -e "$sky_home" ] || [ -L "$sky_home" ]; then
  rm -f -- "$sky_home/.sky/node" "$sky_home/.sky/guard"
  ${END_HOME}
  sky_end_home || exit 9
  ${REMOVE_HOME}
fi
rmdir -- "$sky_cluster" "\${sky_cluster%/*}" "$sky_nodes" "\${sky_nodes%/*}" 2>/dev/null
[ ! -e "$sky_home" ] && [ ! -L "$sky_home" ] || exit 22
echo gone
`;
