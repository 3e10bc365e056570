/**
 * Looking at job directories on a node, over one connection that stays: reads requests, a line each, and answers
 * them in their order. Owns this shell text and the shape of its answers; remote/watch.ts asks and reads.
 *
 * Fields are separated by tabs, the second is the answer's end mark, which nobody can know before:
 *   S mark job                       one job in full: `<there> <alive>`, exit, then the identity file
 *   T mark pid job [pid job …]       several: `<there> <exit>` each, then the lines of those pids' stat files, and
 *                                    the outputs as ls tells; `-` for no pid
 *   R mark file offset limit         bytes of a file
 * An answer ends with a newline, the mark and a newline. `alive` is 0 or 1, by /proc of this machine. Job files
 * may hold anything: only regular files are read, and little of them.
 */
export const LOOK = `
LC_ALL=C
export LC_ALL
sky_nl='
'
sky_tab=$(printf '\\t')
read -r sky_boot 2>/dev/null </proc/sys/kernel/random/boot_id || sky_boot=-
sky_exit() {
  sky_exit=
  [ -f "$1/exit" ] || return 0
  sky_exit=$(head -c 8 "$1/exit" 2>/dev/null)
  case $sky_exit in *[!0-9\\ ]*) sky_exit=x ;; esac
}
sky_alive() {
  sky_alive=0
  [ "$1" != - ] || return 0
  sky_line=
  read -r sky_line 2>/dev/null <"/proc/$1/stat" || [ -n "$sky_line" ] || return 0
  case $sky_line in *') '*) ;; *) sky_line=$(cat "/proc/$1/stat" 2>/dev/null) ;; esac
  sky_start=$2
  set -- \${sky_line##*) }
  [ "\${20}" = "$sky_start" ] || return 0
  case $1 in Z|X) [ "\${18}" -gt 1 ] || return 0 ;; esac
  sky_alive=1
}
sky_state() {
  sky_there=0 sky_alive=0 sky_exit= sky_id=
  if [ -e "$1" ] || [ -L "$1" ]; then
    sky_there=1
    [ ! -f "$1/pid" ] || sky_id=$(head -c 700 "$1/pid" 2>/dev/null)
    sky_line=\${sky_id%%"$sky_nl"*}
    if [ "\${sky_id#*"$sky_nl"}" = "$sky_boot" ]; then
      sky_pid=\${sky_line%% *}
      case $sky_pid in ''|*[!0-9]*) ;; *)
        sky_rest=\${sky_line##*) }
        sky_split $sky_rest
        sky_alive "$sky_pid" "$sky_start"
      ;; esac
    fi
    sky_exit "$1"
  fi
  printf '%s %s\\n%s\\n%s' "$sky_there" "$sky_alive" "$sky_exit" "$sky_id"
}
sky_split() { sky_start=\${20}; }
sky_tick() {
  sky_count=$#
  while [ "$sky_count" -gt 0 ]; do
    sky_there=0
    [ ! -e "$2" ] || sky_there=1
    sky_exit "$2"
    echo "$sky_there $sky_exit"
    if [ "$1" = - ]; then set -- "$@" "$2/log"; else set -- "$@" "/proc/$1/stat" "$2/log"; fi
    shift 2
    sky_count=$((sky_count - 2))
  done
  sky_count=$#
  while [ "$sky_count" -gt 0 ]; do
    case $1 in /proc/*) sky_stats="$sky_stats $1" ;; *) set -- "$@" "$1" ;; esac
    shift
    sky_count=$((sky_count - 1))
  done
  [ -z "$sky_stats" ] || cat $sky_stats 2>/dev/null
  ls -Lln -- "$@" 2>/dev/null
}
sky_read() {
  [ -f "$1" ] || return 0
  tail -c "+$(($2 + 1))" "$1" 2>/dev/null | head -c "$3"
}
set -f
IFS=$sky_tab
while read -r sky_request; do
  set -- $sky_request
  sky_what=$1 sky_mark=$2
  shift 2
  IFS=' '
  case $sky_what in
    S) sky_state "$1" ;;
    T) sky_stats=; sky_tick "$@" ;;
    R) sky_read "$1" "$2" "$3" ;;
  esac
  printf '\\n%s\\n' "$sky_mark"
  IFS=$sky_tab
done
`;
