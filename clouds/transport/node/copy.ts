/** Copying files to and from a node: the shell texts. Owns them; remote/upload.ts and download.ts use them. */

/** Exit codes of OPEN_TARGET. */
export const EXISTS = 3;
export const NO_LINK = 5;

/**
 * Makes room for a copy. Arguments: path of the content, link to it or '', folder of the cluster, HOME,
 * `directory` or `file`, the source's name. Prints where to unpack, whether something is there already (`old`
 * or `new`), and whether there is rsync (`rsync` or `-`), a line each.
 */
export const OPEN_TARGET = `
LC_ALL=C
export LC_ALL
if [ -n "$2" ] && { [ -e "$2" ] || [ -L "$2" ]; }; then
  # Ours if it points to this content in any home of this cluster.
  sky_old=$(ls -ld -- "$2")
  sky_suffix=\${1#"$4"}
  case $sky_old in *" -> $3/"*"$sky_suffix") ;; *) exit ${EXISTS} ;; esac
fi
sky_path=$1
if [ "$5" = file ]; then
  [ ! -d "$sky_path" ] || sky_path=$sky_path/$6
  sky_path=\${sky_path%/*}
elif [ ! -d "$sky_path" ] && { [ -e "$sky_path" ] || [ -L "$sky_path" ]; }; then
  rm -f -- "$sky_path" || exit 1
fi
sky_state=new
if [ -d "$sky_path" ]; then
  for sky_one in "$sky_path"/* "$sky_path"/.[!.]*; do
    [ ! -e "$sky_one" ] || { sky_state=old; break; }
  done
else
  mkdir -p -- "$sky_path" || exit 1
fi
sky_rsync=-
! command -v rsync >/dev/null || sky_rsync=rsync
printf '%s\\n%s\\n%s\\n' "$sky_path" "$sky_state" "$sky_rsync"
`;

/** Arguments: where; then, for one file, its name in the archive and the name it gets. */
export const UNPACK = `
LC_ALL=C
export LC_ALL
cd -- "$1" || exit 1
if [ $# = 1 ]; then exec tar -xopf -; fi
tar -xopf - || { sky_code=$?; rm -f -- "$2"; exit $sky_code; }
if [ -d "$3" ]; then rmdir -- "$3" || { rm -f -- "$2"; exit 1; }; fi
mv -f -- "$2" "$3"
`;

/**
 * Arguments: path of the content, link, file that lists links, the link as a line of it. Written down before it
 * is made, so that what was made is always found again. Root's places need sudo, if we aren't root.
 */
export const MAKE_LINK = `
LC_ALL=C
export LC_ALL
[ ! -L "$2" ] || exit 0
mkdir -p -- "\${3%/*}" && printf '%s\\n' "$4" >>"$3" || exit 1
mkdir -p -- "\${2%/*}" 2>/dev/null && ln -s -- "$1" "$2" 2>/dev/null && exit 0
[ ! -L "$2" ] || exit 0
sudo -n sh -c 'mkdir -p -- "\${2%/*}" && ln -s -- "$1" "$2"' sh "$1" "$2" 2>/dev/null && exit 0
exit ${NO_LINK}
`;

/** Argument: path. Prints \`D\`, \`F\` or \`N\` and a newline, then an archive of the directory or file. */
export const PACK = `
LC_ALL=C
export LC_ALL
if [ -d "$1" ]; then
  cd -- "$1" || exit 1
  echo D
  exec tar -cf - .
fi
if [ -f "$1" ]; then
  echo F
  exec cat -- "$1"
fi
echo N
`;
