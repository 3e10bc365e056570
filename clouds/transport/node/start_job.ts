/**
 * Starting, running and ending things on a node in one go each: the shell texts of RemoteRunner. Owns these
 * texts; the files of a job are job_files.ts's, the wrapper is run_job.ts's.
 */
import { END_ALL } from "./end_processes.ts";
import { RUN_JOB } from "./run_job.ts";

/** Exit codes of LAY_OUT. */
export const TAKEN = 3;
export const CUT_SHORT = 4;

/**
 * Arguments: staging directory, job directory, token file's name, output, HOME, target of the `log` link, bytes
 * of `main`, bytes of `env`, the input's last line. Input: main, env, that line.
 *
 * The last line is proof that all came: a connection that breaks looks like the end of the input.
 */
export const LAY_OUT = `
LC_ALL=C
export LC_ALL
if [ -e "$2" ]; then
  rm -rf -- "\${2%/*}/.\${2##*/}-"*
  exit ${TAKEN}
fi
[ -d "$5" ] || { echo "there is no directory $5" >&2; exit 1; }
mkdir -p -- "\${1%/*}" || exit 1
umask 077
mkdir -- "$1" || exit 1
sky_fail() {
  sky_code=$?
  rm -rf -- "$1"
  [ ! -e "$2" ] || exit ${TAKEN}
  exit "\${3:-$sky_code}"
}
cat >"$1/.in" || sky_fail "$1" "$2" 1
[ "$(tail -n 1 "$1/.in")" = "$9" ] || sky_fail "$1" "$2" ${CUT_SHORT}
head -c "$7" "$1/.in" >"$1/main" &&
tail -c "+$(($7 + 1))" "$1/.in" | head -c "$8" >"$1/env" &&
rm -f -- "$1/.in" &&
printf '    ' >"$1/exit.tmp" &&
: >"$1/$3" &&
ln -s -- "$6" "$1/log" || sky_fail "$1" "$2" 1
exit 0
`;

/** Arguments as LAY_OUT's. \`exports\`: what the node's environment has besides. */
export function startText(exports: string): string {
  return `${exports}HOME=$5
SKY_JOB_KEY=$2
export HOME SKY_JOB_KEY
cd -- "$HOME" || exit 1
${RUN_JOB}`;
}

/**
 * Arguments: HOME, then the command. With \`environment\`, the first line of the input is \`export\` lines escaped
 * for \`printf %b\`; the rest is the command's own.
 */
export function runText(exports: string, { environment }: { environment: boolean }): string {
  return `${exports}HOME=$1
export HOME
cd -- "$HOME" || exit 125
shift
${
    environment
      ? 'IFS= read -r sky_env || exit 125\neval "$(printf %b "$sky_env")"\nunset sky_env\n'
      : ""
  }exec "$@"
`;
}

/** Arguments: HOME, job directory, a staging directory's name, grace in seconds with hundredths, mark. */
export const KILL_JOB = `
[ -d "$1" ] || exit 0
if ! [ -e "$2" ]; then
  ( umask 077; mkdir -p -- "$3" && : >"$3/killed" ) || [ -e "$2" ] || exit 1
  if ! [ -e "$2" ]; then mv -f -- "$3" "$2"; fi
  [ -e "$2" ] || exit 1
  rm -rf -- "$2/\${3##*/}"
fi
rm -rf -- "\${2%/*}/.\${2##*/}-"*
sky_mark=$5 sky_grace=$4 sky_hunt=1 sky_out=$2/log
sky_leader= sky_start= sky_session=
sky_nl='
'
sky_id=
[ ! -f "$2/pid" ] || sky_id=$(head -c 700 "$2/pid" 2>/dev/null)
read -r sky_boot 2>/dev/null </proc/sys/kernel/random/boot_id || sky_boot=-
if [ "\${sky_id#*"$sky_nl"}" = "$sky_boot" ]; then
  sky_id=\${sky_id%%"$sky_nl"*}
  sky_leader=\${sky_id%% *}
  set -f
  set -- \${sky_id##*) }
  set +f
  sky_start=\${20}
  sky_session=$4
  case $sky_leader$sky_session$sky_start in *[!0-9]*) sky_start= ;; esac
  [ -n "$sky_start" ] && [ -n "$sky_leader" ] || sky_session= sky_start=
fi
${END_ALL}
sky_end_all || exit 9
`;
