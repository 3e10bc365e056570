/**
 * What surrounds a script that runs on a node over a connection: marks that tell its output from a login shell's
 * noise, its exit code said in words, and the leash, on which it dies when the connection dies. Owns these shell
 * texts and the shape of the marks; remote/pipe_shell.ts reads them.
 */

/** In the environment of everything that a connection runs: whose it is. */
export const EXEC_KEY = "SKY_EXEC";

/** A line on both outputs, before the script's own. */
export function beginMark(token: string): string {
  return `sky-${token}+\n`;
}

/** On both outputs, after the script's own, so that nothing is missing: this, the exit code, a newline. */
export function endMark(token: string): string {
  return `sky-${token}-`;
}

/** Seconds without a word from us after which a node takes the connection for dead. We speak every 5 s. */
export const LEASH_S = 25;

/**
 * Reads the connection's input, one line a heartbeat. At its end, or when too long nothing came after a first
 * line, everybody in the group is ended, unless `$$` is gone, which then ended by itself. The group's number is
 * ours as long as this process is in it.
 */
const LEASH = `
sky_end() {
  kill -0 $$ || exit 0
  kill -s TERM 0
  sleep 2
  kill -s KILL 0
}
sky_leash() {
  trap '' TERM INT QUIT HUP
  sky_bomb=
  while read -r sky_word; do
    [ -z "$sky_bomb" ] || kill "$sky_bomb"
    (
      sleep ${LEASH_S} 8<&- &
      sky_sleep=$!
      trap 'kill -s KILL $sky_sleep; exit 0' USR1 TERM
      trap '' INT QUIT HUP
      wait $sky_sleep && trap '' TERM && sky_end
    ) </dev/null &
    sky_bomb=$!
  done
  [ -z "$sky_bomb" ] || kill "$sky_bomb"
  sky_end
}
`;

function begin(token: string): string {
  const mark = beginMark(token).trimEnd();
  return `export ${EXEC_KEY}=${token}\necho ${mark}\necho ${mark} >&2\nexec 8<&0\n`;
}

function end(token: string): string {
  const mark = `"${endMark(token)}$sky_code"`;
  return `sky_code=$?\necho ${mark} >&2\necho ${mark}\nexit 0\n`;
}

/** `body` with the first `size` bytes of the connection's input as its own, on the leash. */
export function onLeash(body: string, { token, size }: { token: string; size: number }): string {
  const feed = size === 0 ? "" : `head -c ${size} <&8; `;
  return `${begin(token)}${LEASH}
{ ${feed}( exec <&8 >/dev/null 2>&1; sky_leash ) & } | (
exec 8<&-
${body}
)
${end(token)}`;
}

/** `body` with the whole of the connection's input as its own: its end is all it sees of a dead connection. */
export function withWholeInput(body: string, { token }: { token: string }): string {
  return `${begin(token)}(
exec 8<&-
${body}
)
${end(token)}`;
}

/**
 * `first` with the input, then the script in a session of its own. A session's leader that becomes setsid is
 * left by it: the leader ends, which ends the connection's session; and unlike one started by "&", the script
 * has no signal ignored. Where there is no setsid it stays in the session it was given.
 */
export function detached(
  { first, quotedScript, setArguments }: { first: string; quotedScript: string; setArguments: string },
  { token, size }: { token: string; size: number },
): string {
  return `${begin(token)}unset ${EXEC_KEY}
${setArguments}
${size === 0 ? "" : `head -c ${size} <&8 | `}(
exec 8<&-
${first}
)${size === 0 ? " </dev/null" : ""}
sky_code=$?
echo "${endMark(token)}$sky_code" >&2
[ "$sky_code" = 0 ] || exit 0
exec 8<&- </dev/null
sky_text=${quotedScript}
sky_group=
read -r sky_group 2>/dev/null </proc/$$/stat
sky_group=\${sky_group##*) }
sky_group=\${sky_group#* }
sky_group=\${sky_group#* }
sky_group=\${sky_group%% *}
if ! command -v setsid >/dev/null; then
  /bin/sh -c "$sky_text" sh "$@" &
elif [ "$sky_group" = "$$" ]; then
  exec setsid /bin/sh -c "$sky_text" sh "$@"
else
  setsid /bin/sh -c "$sky_text" sh "$@" &
fi
exit 0
`;
}
