/**
 * What runs inside of an allocation: the batch script that holds it, starts jobs as steps and guards against being
 * forgotten, and the shell texts that talk to it. Owns these texts and the files they use:
 *
 * - `<tmp>/sky-<hash>-<uid>-<job>/` on the first node, 0700: `asks`, a pipe with one word for each step to start, and per
 *   word a folder with `call` (shell text that becomes srun), `input`, `out`, `err` and at its end `code`.
 * - `<cluster>/node<i>` on the shared file system: the homes. `<cluster>/job`: whose they are. `<cluster>/lease`: until
 *   when the server looks after idleness, and the rule for afterwards.
 *
 * A step that a login started would die with that login, and whatever a step leaves behind dies with the step: so jobs
 * are started by the batch script, which lives as long as the allocation. Needs a POSIX shell, nothing else.
 */
import { quote } from "../transport/job_files.ts";

/** Seconds without a sign of the server after which the guard acts for it. */
export const LEASE_S = 180;
/** Seconds between two looks of the guard. */
const GUARD_S = 15;

export interface BatchPlace {
  /** `<base>/.sky_clusters/<name>` */
  readonly cluster: string;
  readonly tmpdir: string;
  readonly numNodes: number;
}

/** Where allocations of a cluster's folder are on a node's own disk; job ids alone are not unique on a machine. */
export function tmpPrefix(tmpdir: string, cluster: string): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(cluster)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `${tmpdir}/sky-${hash.toString(36)}`;
}

/** Sets `sky_tmp`: the folder of an allocation on its first node. `$1` is its `tmpPrefix`, `$2` the job's id. */
const SET_TMP = `sky_tmp=$1-$(id -u)-$2\n`;

/**
 * The batch script. Slurm's variables go (they would size every step), but for where its configuration is. It goes on
 * when a step fails to start: whoever asked reads why. Ends by TERM, by the guard, or with the allocation.
 */
export function batchScript(
  place: BatchPlace,
  options: { leaseSeconds?: number; guardSeconds?: number } = {},
) {
  return `#!/bin/sh
umask 077
sky_cluster=${quote(place.cluster)}
sky_nodes=${place.numNodes}
sky_lease=${options.leaseSeconds ?? LEASE_S}
sky_pause=${options.guardSeconds ?? GUARD_S}
sky_job=$SLURM_JOB_ID
set -- ${quote(tmpPrefix(place.tmpdir, place.cluster))} "$sky_job"
${SET_TMP}
for sky_name in $(env | sed -n 's/^\\(SLURM_[A-Za-z0-9_]*\\)=.*/\\1/p; s/^\\(SBATCH_[A-Za-z0-9_]*\\)=.*/\\1/p'); do
  case $sky_name in SLURM_CONF*) ;; *) unset "$sky_name" ;; esac
done
export SLURM_JOB_ID="$sky_job"
${BATCH_BODY}`;
}

/** Everything of the batch script that depends on nothing. */
const BATCH_BODY = `
mkdir -p -- "$sky_cluster" || exit 1
sky_other=$(cat "$sky_cluster/job" 2>/dev/null)
if [ "$sky_other" != "$sky_job" ]; then
  # Another allocation's homes: its jobs must not be taken for ours, nor ours for its while it lives.
  case $sky_other in
    '' | *[!0-9]*) ;;
    *)
      sky_n=0
      while :; do
        sky_state=$(squeue -h -j "$sky_other" -t PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING -o %T 2>&1)
        case $sky_state in
          '' | *'Invalid job id specified'*) break ;;
          COMPLETING) [ "$sky_n" -ge 60 ] || { sky_n=$((sky_n + 1)); sleep 1; continue; } ;;
        esac
        echo "sky: job $sky_other of this name is still there: $sky_state" >&2
        exit 1
      done
      ;;
  esac
  rm -rf -- "$sky_cluster"/node* "$sky_cluster/lease"
  printf '%s\\n' "$sky_job" >"$sky_cluster/job.$sky_job" && mv -f -- "$sky_cluster/job.$sky_job" "$sky_cluster/job" || exit 1
fi
sky_i=0
while [ "$sky_i" -lt "$sky_nodes" ]; do
  mkdir -p -- "$sky_cluster/node$sky_i/sky_workdir" "$sky_cluster/node$sky_i/sky_logs" "$sky_cluster/node$sky_i/.sky" || exit 1
  sky_i=$((sky_i + 1))
done
rm -rf -- "$sky_tmp"
mkdir -- "$sky_tmp" && mkfifo -- "$sky_tmp/asks" || exit 1
sky_end() {
  trap '' TERM INT HUP
  trap - EXIT
  rm -rf -- "$sky_tmp"
  [ -z "$sky_guard" ] || kill "$sky_guard" 2>/dev/null
  exit 0
}
sky_guard=
trap sky_end TERM INT HUP EXIT
exec 3<>"$sky_tmp/asks"
sky_batch=$$

sky_step() {
  trap - TERM INT HUP EXIT
  cd -- "$sky_tmp/$1" 2>/dev/null || exit 0
  ( . ./call ) 3>&- <./input >./out 2>./err
  printf '%s\\n' "$?" >./code.new
  mv -f -- ./code.new ./code
  rm -f -- ./input
}

sky_watch() {
  trap - TERM INT HUP EXIT
  exec 3>&-
  sky_idle=0
  while sleep "$sky_pause"; do
    kill -0 "$sky_batch" 2>/dev/null || exit 0
    sky_now=$(date +%s)
    sky_busy=
    for sky_dir in "$sky_tmp"/t-*; do
      [ -e "$sky_dir/call" ] || continue
      if ! [ -e "$sky_dir/code" ]; then sky_busy=1; else [ -e "$sky_dir/read" ] && rm -rf -- "$sky_dir"; fi
    done
    [ -z "$sky_busy" ] || sky_idle=$sky_now
    sky_renewed= sky_minutes= sky_wait= sky_since=
    read -r sky_renewed sky_minutes sky_wait sky_since <"$sky_cluster/lease" 2>/dev/null || continue
    case $sky_renewed$sky_minutes$sky_since in '' | *[!0-9]*) continue ;; esac
    [ "$((sky_now - sky_renewed))" -ge "$sky_lease" ] || continue
    if [ "$sky_wait" != none ]; then
      [ -z "$sky_busy" ] || continue
      [ "$sky_idle" -le "$sky_since" ] || sky_since=$sky_idle
    fi
    [ "$((sky_now - sky_since))" -ge "$((sky_minutes * 60))" ] || continue
    echo "sky: idle for $sky_minutes minutes and no server: the end"
    rm -rf -- "$sky_cluster"
    kill "$sky_batch"
    exit 0
  done
}
sky_watch &
sky_guard=$!

while :; do
  if read -r sky_ask <&3; then
    case $sky_ask in t-*[!A-Za-z0-9-]*) ;; t-*) sky_step "$sky_ask" & ;; esac
  fi
done
`;

/**
 * Run on the first node, as a step. Arguments: tmp prefix, job id, word, shell text of the call. Standard input goes to the
 * step. Prints the first line that the step prints. Exits 0 then, otherwise with the step's code and its complaints.
 */
export const ASK_BATCH = `
umask 077
${SET_TMP}
sky_n=0
until [ -O "$sky_tmp" ] && [ -p "$sky_tmp/asks" ]; do
  sky_n=$((sky_n + 1))
  [ "$sky_n" -le 300 ] || { echo "sky: the batch script of job $2 does not answer" >&2; exit 1; }
  sleep 0.1
done
mkdir -- "$sky_tmp/$3" || exit 1
cd -- "$sky_tmp/$3" || exit 1
cat >input || exit 1
: >out
: >err
printf '%s\\n' "$4" >call || exit 1
printf '%s\\n' "$3" >"$sky_tmp/asks" || exit 1
while :; do
  if [ -s out ]; then
    cat out
    : >read
    exit 0
  fi
  if [ -e code ]; then
    cat out
    cat err >&2
    read -r sky_code <code
    : >read
    exit "$sky_code"
  fi
  sleep 0.05
done
`;

/**
 * Run on every node, as one step with one task each. Arguments: tmp prefix, job id, cluster folder, name of a file that the
 * login has put there. Prints one line `node|rank|name|address|cuda|shared`; rank 0 waits for the batch script.
 */
export const TELL_NODE = `
${SET_TMP}
if [ "$SLURM_NODEID" = 0 ]; then
  sky_n=0
  until [ -O "$sky_tmp" ] && [ -p "$sky_tmp/asks" ]; do
    sky_n=$((sky_n + 1))
    [ "$sky_n" -le 300 ] || { echo "sky: the batch script of job $2 did not start" >&2; exit 1; }
    sleep 0.1
  done
fi
sky_shared=no
[ ! -e "$3/$4" ] || sky_shared=yes
sky_address=$(scontrol show node "$SLURMD_NODENAME" 2>/dev/null | sed -n 's/.*NodeAddr=\\([^ ]*\\).*/\\1/p')
case $sky_address in
  '' | *[!0-9.]*)
    sky_found=$(getent ahostsv4 "\${sky_address:-$SLURMD_NODENAME}" 2>/dev/null | sed -n '1s/ .*//p')
    sky_address=\${sky_found:-$sky_address}
    ;;
esac
printf 'node|%s|%s|%s|%s|%s\\n' "$SLURM_NODEID" "$SLURMD_NODENAME" "$sky_address" "$CUDA_VISIBLE_DEVICES" "$sky_shared"
`;
