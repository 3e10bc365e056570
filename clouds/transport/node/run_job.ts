/**
 * What runs on a node for one phase of a job: the wrapper that claims the phase and keeps its exit code, and the
 * head of the user's script. Owns these shell texts; job_files.ts lays out the files they use and local.ts (or
 * another transport) starts the wrapper in its own session. Nothing but a POSIX shell, `mv`, `rm` and `mkdir`.
 */
import { OWN_IDENTITY } from "./record_child.ts";

/**
 * Arguments: staging directory, job directory, name of a file in the staging directory that no other attempt
 * has, output file. Environment: HOME and SKY_JOB_KEY. Prints one word on its standard output, `claimed`,
 * `taken` or `failed`, and closes it.
 *
 * The claim is the rename of the staging directory, complete with its pid file, to the job directory: one
 * attempt wins, whole, and the directory is never seen without a pid. `mv` into a directory that exists moves
 * the staging directory below it, or fails: both show in the missing token.
 *
 * The wrapper outlives TERM to its group, so that an exit code (143 for a script that died of it) is kept. The
 * code is written over bytes that exist already: a job that fills the disk still gets one.
 */
export const RUN_JOB = `
exec 2>/dev/null
sky_stop=
trap 'sky_stop=143' TERM
trap : INT HUP QUIT PIPE
sky_stage=$1
sky_job=$2
sky_token=$3
sky_out=$4
${OWN_IDENTITY}
( umask 077; printf '%s\\n%s\\n' "$sky_stat" "$sky_boot" >"$sky_stage/pid" ) || {
  if [ -e "$sky_job" ]; then echo taken; else echo failed; fi
  rm -rf -- "$sky_stage"
  exit 1
}
[ -e "$sky_job" ] || mv -f -- "$sky_stage" "$sky_job"
if ! [ -e "$sky_job/$sky_token" ]; then
  if [ -e "$sky_job" ]; then echo taken; else echo failed; fi
  rm -rf -- "$sky_stage" "$sky_job/\${sky_stage##*/}"
  exit 0
fi
echo claimed
exec >/dev/null
mkdir -p -- "\${sky_out%/*}" "$HOME/sky_workdir"
if [ -n "$sky_stop" ]; then
  sky_code=$sky_stop
elif command -v bash; then
  bash --noprofile --norc -i "$sky_job/main" 9>>"$sky_out" >>"$sky_out" </dev/null
  sky_code=$?
else
  sh "$sky_job/main" 9>>"$sky_out" >>"$sky_out" </dev/null
  sky_code=$?
fi
until printf '%-4s' "$sky_code" 1<>"$sky_job/exit.tmp" && mv -f -- "$sky_job/exit.tmp" "$sky_job/exit"; do
  [ -d "$sky_job" ] || exit 1
  sleep 1
done
exit "$sky_code"
`;

/**
 * The head of `main`; the user's script follows in the same file, as in SkyPilot. Bash runs it with `-i`, because
 * many a ~/.bashrc does nothing otherwise, and with what an interactive shell must not do to a script undone: its
 * complaints about the missing terminal (printed before fd 2 comes back from fd 9), history and `!` expansion
 * and its deafness to TERM. The file of the environment holds secrets and is gone once read.
 */
export const SCRIPT_HEAD = `exec 2>&9 9>&-
if [ -n "\${BASH_VERSION-}" ]; then
  trap 'exit 143' TERM
  if [ -f ~/.bashrc ]; then . ~/.bashrc; fi
  if [ "$(type -t conda)" = file ] && [ -f "$(dirname "$(dirname "$(command -v conda)")")/etc/profile.d/conda.sh" ]; then
    set -a
    . "$(dirname "$(dirname "$(command -v conda)")")/etc/profile.d/conda.sh" >/dev/null 2>&1
    set +a
  fi
  set +H +o history
  unset HISTFILE
fi
export PYTHONUNBUFFERED=1
cd ~/sky_workdir
. "\${0%/*}/env"
rm -f -- "\${0%/*}/env"
`;
