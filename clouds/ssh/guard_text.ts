/**
 * The guard of a node: a small loop on the host that ends the node when its server has been silent for three minutes
 * and nobody used it for long enough. Owns its texts and its files `.sky/guard` (what was agreed, and when) and
 * `.sky/guard.pid`. It can only look at its own host: where a job of the cluster ran elsewhere when the server was
 * last heard of, it waits until it has seen one here. Pure.
 */
import { JOB_KEY, quote } from "../transport/job_files.ts";
import { END_HOME, REMOVE_HOME } from "./node_texts.ts";

/** Seconds between TERM and KILL. */
const GRACE_S = "3.00";

/** Exit codes of ARM_GUARD: a guard is there and has read on; there is no node to guard. */
export const ALREADY = 7;
export const NO_NODE = 8;

/**
 * Arguments: home, idle seconds, 1 to take down (0 to stop), 0 to wait for nothing, 1 for jobs, 2 for logins as
 * well, 1 if a job is running somewhere, 1 if the cluster has several nodes, seconds since it was used last,
 * seconds between looks, seconds of silence after which the server counts as dead.
 */
export const ARM_GUARD = `
sky_state=
read -r sky_state 2>/dev/null <"$1/.sky/node"
[ "$sky_state" = up ] || exit ${NO_NODE}
umask 077
sky_now=$(date +%s) || exit 1
printf '%s %s %s %s %s %s %s\\n' "$2" "$3" "$4" "$5" "$6" "$((sky_now - $7))" "$sky_now" >"$1/.sky/guard.$$" &&
  mv -f -- "$1/.sky/guard.$$" "$1/.sky/guard" || exit 1
sky_pid= sky_start= sky_line=
read -r sky_pid sky_start 2>/dev/null <"$1/.sky/guard.pid" || exit 0
read -r sky_line 2>/dev/null <"/proc/$sky_pid/stat" || exit 0
set -f
set -- \${sky_line##*) }
[ "\${20}" = "$sky_start" ] && exit ${ALREADY}
exit 0
`;

/** Argument: home. */
export const DISARM_GUARD = `rm -f -- "$1/.sky/guard"`;

/** Arguments: home, 1 to take down. */
const ACT = `
sky_home=$1 sky_grace=${GRACE_S}
rm -f -- "$sky_home/.sky/guard"
if [ "$2" = 1 ]; then rm -f -- "$sky_home/.sky/node"; else
  echo stopped >"$sky_home/.sky/node.$$" && mv -f -- "$sky_home/.sky/node.$$" "$sky_home/.sky/node"
fi
sky_down=$2
${END_HOME}
sky_end_home
[ "$sky_down" = 1 ] || exit 0
sky_cluster=\${sky_home%/*}
${REMOVE_HOME}
sky_nodes=\${sky_cluster%/*/*}
rmdir -- "$sky_cluster" "\${sky_cluster%/*}" "$sky_nodes" "\${sky_nodes%/*}"
`;

const LOOP = `
umask 077
read -r sky_line </proc/$$/stat || exit 1
sky_home=$1 sky_look=$2 sky_silent=$3
set -f
set -- \${sky_line##*) }
set +f
echo "$$ \${20}" >"$sky_home/.sky/guard.pid"
sky_seen=0
while :; do
  sleep "$sky_look" || exit 1
  read -r sky_idle sky_down sky_wait sky_busy sky_many sky_since sky_renewed <"$sky_home/.sky/guard" || exit 0
  read -r sky_state <"$sky_home/.sky/node" && [ "$sky_state" = up ] || exit 0
  sky_now=$(date +%s)
  if [ "$sky_wait" != 0 ]; then
    for sky_file in "$sky_home"/sky_logs/*/.job/*/pid; do
      [ -f "$sky_file" ] || continue
      sky_job=\${sky_file%/pid}
      if [ -e "$sky_job/exit" ]; then
        [ "$sky_job/exit" -nt "$sky_home/.sky/guard" ] && [ "$sky_seen" -lt "$sky_renewed" ] && sky_seen=$sky_renewed
        continue
      fi
      read -r sky_was <"$sky_file" && read -r sky_line <"/proc/\${sky_was%% *}/stat" || continue
      set -f
      set -- \${sky_was##*) }
      sky_start=\${20}
      set -- \${sky_line##*) }
      set +f
      [ "\${20}" = "$sky_start" ] && sky_seen=$sky_now && continue 2
    done
  fi
  [ "$((sky_now - sky_renewed))" -ge "$sky_silent" ] || continue
  if [ "$sky_wait" = 2 ]; then
    sky_in=$(printf '%s\\n' ": $(id -un)@pts/" | grep -lsF -f - /proc/[0-9]*/cmdline)
    [ -z "$sky_in" ] || { sky_seen=$sky_now; continue; }
  fi
  [ "$sky_busy$sky_many$sky_seen" != 110 ] || continue
  [ "$sky_seen" -le "$sky_since" ] || sky_since=$sky_seen
  [ "$((sky_now - sky_since))" -ge "$sky_idle" ] || continue
  unset ${JOB_KEY}
  exec /bin/sh -c ${quote(ACT)} sh "$sky_home" "$sky_down"
done
`;

/** Arguments as ARM_GUARD's. To be started on its own; marked as the node's, so that it ends with it. */
export const GUARD = `
exec >/dev/null 2>&1 </dev/null
${JOB_KEY}=$1/.sky/guard
export ${JOB_KEY}
exec /bin/sh -c ${quote(LOOP)} sh "$1" "$8" "$9"
`;
