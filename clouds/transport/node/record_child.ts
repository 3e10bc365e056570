/**
 * The first words of every child of a request: it writes down who it is, then becomes the command. Owns the
 * shell text and the shape of an identity file; process.ts spawns with it, process_table.ts reads it back.
 *
 * An identity file has two lines: the process's own `/proc/<pid>/stat` (elsewhere `<pid> <start as ps prints
 * it>`), and the boot id (`-` where there is none). Pid, start time and boot together name one process for ever.
 */

/** Sets `sky_stat` and `sky_boot` of the shell itself, with builtins alone where /proc exists. */
export const OWN_IDENTITY = `
if read -r sky_stat 2>/dev/null </proc/$$/stat; then
  read -r sky_boot 2>/dev/null </proc/sys/kernel/random/boot_id || sky_boot=-
else
  sky_stat="$$ $(LC_ALL=C TZ=UTC ps -o lstart= -p $$)"
  sky_boot=-
fi
`;

/**
 * Arguments: identity file ('' for none), pid of the parent, command and its arguments. Exits 125 if it can't
 * be recorded. The parent is looked at AFTER the record is on disk: if it died earlier, nobody may know of this
 * child, so it must not start; if it dies later, its successor finds the record.
 */
export const RECORD_CHILD = `
sky_file=$1
sky_parent=$2
shift 2
if [ -n "$sky_file" ]; then
  ${OWN_IDENTITY}
  printf '%s\\n%s\\n' "$sky_stat" "$sky_boot" >"$sky_file" || exit 125
  if read -r sky_stat 2>/dev/null </proc/$$/stat; then
    sky_stat=\${sky_stat##*) }
    sky_stat=\${sky_stat#* }
    sky_stat=\${sky_stat%% *}
  else
    sky_stat=$(ps -o ppid= -p $$)
    sky_stat=\${sky_stat##* }
  fi
  [ "$sky_stat" = "$sky_parent" ] || exit 125
fi
unset sky_file sky_parent sky_stat sky_boot
exec "$@"
`;
