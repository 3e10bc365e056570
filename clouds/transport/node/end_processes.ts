/**
 * Ends processes on a node and proves it: the same rules as transport/end_processes.ts, in shell text that runs
 * there. Owns these texts. They need /proc, cat, sleep, and grep where there is one.
 *
 * A process is ours by its session, as long as the session's leader has the start time on record or somebody is
 * in it who was seen to be ours; by its mark (an entry of its environment); or, in a session whose leader is
 * gone, by writing to the job's output. A pid that was given away is never signalled.
 */

/**
 * Sets up functions. Variables to be set before: sky_mark ("NAME=value" or ""), sky_grace (seconds, may have a
 * fraction of hundredths as "1.25"), sky_leader, sky_start, sky_session (of the record, or ""), sky_out (a file
 * or ""), sky_hunt (1: marked ones in any session). `sky_end_all` returns 0 with proof, and says on its errors
 * who is left.
 */
export const END_ALL = `
sky_nl='
'
sky_now() { read -r sky_up sky_word </proc/uptime; sky_now=\${sky_up%.*}\${sky_up#*.}; }
sky_stat() {
  sky_line=
  read -r sky_line 2>/dev/null <"/proc/$1/stat" || [ -n "$sky_line" ] || return 1
  case $sky_line in *') '*) ;; *) sky_line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1 ;; esac
  sky_rest=\${sky_line##*) }
  set -- $sky_rest
  [ -n "\${20}" ] || return 1
  sky_group=$3 sky_in=$4 sky_born=\${20} sky_dead=
  case $1 in Z|X) [ "\${18}" -gt 1 ] || sky_dead=1 ;; esac
  return 0
}
sky_marked() {
  [ -n "$sky_mark" ] || return 1
  if [ -n "$sky_tr" ]; then
    case "
$(tr '\\0' '\\n' <"/proc/$1/environ")
" in *"
$sky_mark
"*) return 0 ;; esac
  else
    case "$(cat "/proc/$1/environ")" in *"$sky_mark"*) return 0 ;; esac
  fi
  return 1
} 2>/dev/null
sky_writes() { [ -n "$sky_out" ] && { [ "/proc/$1/fd/1" -ef "$sky_out" ] || [ "/proc/$1/fd/2" -ef "$sky_out" ]; }; } 2>/dev/null
sky_add() {
  case " $sky_found " in *" $1:"*) return ;; esac
  sky_found="$sky_found $1:$sky_born:$sky_group:$sky_in"
  case " $sky_sure " in *" $1:$sky_born "*) ;; *) sky_sure="$sky_sure $1:$sky_born" ;; esac
}
sky_split() { sky_in=$4 sky_born=\${20}; }
sky_scan() {
  sky_found= sky_own= sky_inside= sky_fresh=
  sky_lost=$sky_session
  if [ -n "$sky_session" ] && sky_stat "$sky_leader"; then
    if [ "$sky_born" = "$sky_start" ]; then
      [ "$sky_in" != "$sky_session" ] || sky_own=1
    elif [ "$sky_leader" = "$sky_session" ]; then
      sky_lost=
    fi
  fi
  # One cat for all: the shell reads files byte by byte. Names may lie, so this only tells whom to look at.
  sky_all=$(cat /proc/[0-9]*/stat 2>/dev/null)
  set -f
  IFS=$sky_nl
  for sky_line in $sky_all; do
    IFS=' '
    sky_pid=\${sky_line%% *}
    case $sky_pid in ''|*[!0-9]*) continue ;; esac
    case $sky_line in *') '*)
      sky_split \${sky_line##*) }
      [ "$sky_in" != "$sky_session" ] || sky_inside="$sky_inside $sky_pid"
      [ "$sky_born" -lt "\${sky_start:-0}" ] || sky_fresh="$sky_fresh $sky_pid"
    ;; *)
      sky_inside="$sky_inside $sky_pid"
      sky_fresh="$sky_fresh $sky_pid"
    ;; esac
  done
  IFS=" $sky_nl"
  [ -n "$sky_lost" ] || sky_inside=
  for sky_pid in $sky_inside; do
    sky_stat "$sky_pid" && [ "$sky_in" = "$sky_session" ] || continue
    case " $sky_sure " in *" $sky_pid:$sky_born "*) sky_own=1 ;; esac
  done
  for sky_pid in $sky_inside; do
    sky_stat "$sky_pid" && [ -z "$sky_dead" ] && [ "$sky_in" = "$sky_session" ] || continue
    if [ -n "$sky_own" ] || sky_marked "$sky_pid" || sky_writes "$sky_pid"; then
      sky_stat "$sky_pid" && sky_add "$sky_pid"
    fi
  done
  for sky_one in $sky_sure; do
    sky_pid=\${sky_one%%:*}
    sky_stat "$sky_pid" && [ "$sky_born" = "\${sky_one#*:}" ] && [ -z "$sky_dead" ] && sky_add "$sky_pid"
  done
  set +f
  [ -n "$sky_hunt" ] && [ -n "$sky_mark" ] || return 0
  # Without grep it is one by one, so only those are asked that are no older than the first of ours.
  sky_list=$sky_fresh
  [ -z "$sky_grep" ] || sky_list=$(grep -lsF -e "$sky_mark" /proc/[0-9]*/environ 2>/dev/null)
  for sky_pid in $sky_list; do
    sky_pid=\${sky_pid#/proc/}
    sky_pid=\${sky_pid%/environ}
    sky_marked "$sky_pid" && sky_stat "$sky_pid" && [ -z "$sky_dead" ] && sky_add "$sky_pid"
  done
  return 0
}
sky_signal() {
  for sky_one in $sky_found; do
    sky_pid=\${sky_one%%:*}
    sky_rest=\${sky_one#*:}
    sky_born=\${sky_rest%%:*}
    sky_rest=\${sky_rest#*:}
    sky_group=\${sky_rest%%:*}
    if [ "$1" = TERM ]; then
      case " $sky_warned " in *" $sky_pid:$sky_born "*) continue ;; esac
      sky_warned="$sky_warned $sky_pid:$sky_born"
    fi
    if [ -n "$sky_own" ] && [ "\${sky_rest#*:}" = "$sky_session" ]; then
      case " $sky_groups " in *" $1:$sky_group "*) [ "$1" = TERM ] && continue ;; *)
        sky_groups="$sky_groups $1:$sky_group"
        kill -s "$1" -- "-$sky_group" 2>/dev/null
        continue
      ;; esac
    fi
    kill -s "$1" "$sky_pid" 2>/dev/null
  done
}
sky_pause() { sleep "$1" 2>/dev/null || sleep 1; }
sky_end_all() {
  sky_sure= sky_warned= sky_groups= sky_clean=0
  sky_tr=$(command -v tr)
  # Not every grep looks behind a NUL.
  sky_grep=$(printf 'a\\000b' | grep -F b >/dev/null 2>&1 && echo yes)
  case $sky_grace in *.*) ;; *) sky_grace=$sky_grace.00 ;; esac
  sky_now
  sky_kill=$((sky_now + \${sky_grace%.*} * 100 + 1\${sky_grace#*.} - 100))
  sky_until=$((sky_kill + 1000))
  sky_step=0.01
  while [ "$sky_clean" -lt 2 ]; do
    sky_scan
    if [ -z "$sky_found" ]; then sky_clean=$((sky_clean + 1)); continue; fi
    sky_clean=0
    sky_now
    if [ "$sky_now" -ge "$sky_until" ]; then
      echo "processes$sky_found are still there after SIGKILL" >&2
      return 1
    fi
    if [ "$sky_now" -ge "$sky_kill" ]; then sky_signal KILL; else sky_signal TERM; fi
    sky_pause $sky_step
    sky_step=0.04
  done
  return 0
}
`;

/** Arguments: mark, grace in seconds, seconds since the first of them began at most. Ends who carries the mark. */
export const END_MARKED = `
unset SKY_EXEC
sky_mark=$1 sky_grace=$2 sky_leader= sky_session= sky_out= sky_hunt=1
${END_ALL}
sky_now
# Start times are hundredths of a second since boot, as uptime is.
sky_start=$((sky_now - $3 * 100))
sky_end_all
`;
