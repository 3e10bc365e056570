#!/bin/sh
# Several machines on one: each node has its own network, processes, hostname, disk and sshd. Needs root and the
# packages of .ci/run. By hand (FLEET_DIR says which fleet, FLEET_PREFIX and FLEET_NET must differ between fleets):
#
#   FLEET_DIR=$(mktemp -d) fleet.sh up 3 [shared]     make nodes 1..3; `shared`: user dev has one home on all nodes
#   fleet.sh cut|heal K          the cable             fleet.sh part|join K                  from this machine only
#   fleet.sh lose K PERCENT | steady K     of its packets to this machine
#   fleet.sh freeze|thaw K       the whole machine     fleet.sh slow K RATE | fast K         what it is sent, 16mbit
#   fleet.sh killsshd|startsshd K   port 22 refuses
#   fleet.sh poweroff|poweron K  disk kept             fleet.sh newhostkey K
#   fleet.sh disk K|shared SIZE  e.g. 1m, 256m         fleet.sh hide K bash rsync …          no such program there
#   fleet.sh inside K CMD …      run as root in K      fleet.sh pids K                       what runs there
#   fleet.sh jump K SECONDS      what `date` says      fleet.sh down
#
# The user's key is FLEET_DIR/id, an ssh config FLEET_DIR/ssh_config (`ssh -F … n2`); users are root and dev.
set -eu
folder=${FLEET_DIR:?}
here=$(cd "$(dirname "$0")" && pwd)
if [ -f "$folder/fleet.conf" ]; then . "$folder/fleet.conf"; fi

netns() { echo "$PREFIX-$1"; }
cable() { echo "${PREFIX}v$1"; }
# A cgroup for each node, by which it is frozen; version 1 has a tree of its own for that.
if [ -d /sys/fs/cgroup/freezer ]; then groups=/sys/fs/cgroup/freezer; else groups=/sys/fs/cgroup; fi
group() { echo "$groups/${FLEET_GROUP:-sky-fleet}-${PREFIX}-$(basename "$folder")/$1"; }

up() {
  COUNT=$1 SHARED=0 PREFIX=${FLEET_PREFIX:-sf} NET=${FLEET_NET:-10.77.0}
  [ "${2:-}" != shared ] || SHARED=1
  chmod 711 "$folder"
  printf 'COUNT=%s\nSHARED=%s\nPREFIX=%s\nNET=%s\n' "$COUNT" "$SHARED" "$PREFIX" "$NET" > "$folder/fleet.conf"
  mkdir -p "$folder/root" "$folder/disk" "$folder/home" "$folder/shared"
  mount -t tmpfs none "$folder/disk"
  mount -t tmpfs -o size=512m,mode=755 none "$folder/shared"
  ssh-keygen -q -t ed25519 -N '' -C fleet -f "$folder/id"
  ip link add "${PREFIX}br" type bridge
  ip addr add "$NET.254/24" dev "${PREFIX}br"
  ip link set "${PREFIX}br" up
  k=1
  while [ "$k" -le "$COUNT" ]; do
    plug "$k"
    start "$k"
    k=$((k + 1))
  done
  k=1
  while [ "$k" -le "$COUNT" ]; do
    await "$k"
    k=$((k + 1))
  done
}

plug() {
  ssh-keygen -q -t ed25519 -N '' -C "n$1" -f "$folder/hostkey$1"
  mkdir -p "$folder/home/$1"
  mount -t tmpfs -o size=512m,mode=755 none "$folder/home/$1"
  ip netns add "$(netns "$1")"
  ip link add "$(cable "$1")" type veth peer name eth0 netns "$(netns "$1")"
  ip link set "$(cable "$1")" master "${PREFIX}br" up
  ip -n "$(netns "$1")" link set lo up
  ip -n "$(netns "$1")" addr add "$NET.$1/24" dev eth0
  ip -n "$(netns "$1")" link set eth0 up
  ip -n "$(netns "$1")" route add default via "$NET.254"
  cat >> "$folder/ssh_config" <<EOC
Host n$1
  HostName $NET.$1
  User root
  IdentityFile $folder/id
  IdentitiesOnly yes
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  LogLevel ERROR
EOC
}

# The pid of `unshare` is the node's power switch: with it every process of the node ends.
start() {
  ip link set "$(cable "$1")" up
  mkdir -p "$(group "$1")"
  : > "$folder/up$1"
  setsid sh -c 'echo $$ > "$1/cgroup.procs"; echo $$ > "$2/pid$3"
    exec nsenter --net="/run/netns/$4" unshare -m -u -i -p -f --kill-child sh "$5/node.sh" "$2" "$3"' \
    sh "$(group "$1")" "$folder" "$1" "$(netns "$1")" "$here" > "$folder/log$1" 2>&1 < /dev/null &
}

await() {
  tries=0
  until [ -s "$folder/up$1" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 500 ]; then
      echo "node $1 did not come up:" >&2
      cat "$folder/log$1" >&2
      return 1
    fi
    sleep 0.02
  done
}

freeze() {
  if [ -f "$(group "$1")/freezer.state" ]; then echo "$2" > "$(group "$1")/freezer.state"
  elif [ "$2" = FROZEN ]; then echo 1 > "$(group "$1")/cgroup.freeze"
  else echo 0 > "$(group "$1")/cgroup.freeze"; fi
}

poweroff() {
  [ -f "$folder/pid$1" ] || return 0
  freeze "$1" THAWED
  switch=$(cat "$folder/pid$1")
  rm "$folder/pid$1"
  ip link set "$(cable "$1")" down 2> /dev/null || true
  kill -9 "$switch" 2> /dev/null || true
  while [ -s "$(group "$1")/cgroup.procs" ] && grep -q . "$(group "$1")/cgroup.procs"; do sleep 0.02; done
}

first() { cat "/proc/$(cat "$folder/pid$1")/task/$(cat "$folder/pid$1")/children" | cut -d' ' -f1; }

inside() {
  k=$1
  shift
  sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec nsenter "$@"' \
    sh "$(group "$k")" -t "$(first "$k")" -m -u -i -n -p -r -w -- "$@"
}

# Packets to this machine that are lost on the way, each with this probability.
lose() {
  nft -f - <<EOC
table netdev ${PREFIX}loss$1 {
  chain lost {
    type filter hook ingress device "$(cable "$1")" priority 0
    ip daddr $NET.254 numgen random mod 100 < $2 drop
  }
}
EOC
}

# No word between a node and this machine, in silence; nodes still reach each other.
part() {
  nsenter --net="/run/netns/$(netns "$1")" nft -f - <<EOC
table ip parted {
  chain in {
    type filter hook input priority 0
    ip saddr $NET.254 drop
  }
  chain out {
    type filter hook output priority 0
    ip daddr $NET.254 drop
  }
}
EOC
}

case $1 in
  up) up "$2" "${3:-}" ;;
  cut) ip link set "$(cable "$2")" down ;;
  heal) ip link set "$(cable "$2")" up ;;
  part) part "$2" ;;
  join) nsenter --net="/run/netns/$(netns "$2")" nft delete table ip parted ;;
  lose) lose "$2" "$3" ;;
  steady) nft delete table netdev "${PREFIX}loss$2" ;;
  slow) tc qdisc replace dev "$(cable "$2")" root tbf rate "$3" burst 16kb latency 200ms ;;
  fast) tc qdisc del dev "$(cable "$2")" root ;;
  freeze) freeze "$2" FROZEN ;;
  thaw) freeze "$2" THAWED ;;
  # The connections that are open die too, as with `systemctl restart` and KillMode=control-group.
  killsshd) inside "$2" sh -c 'kill -9 $(pgrep sshd)' || true ;;
  startsshd) inside "$2" /usr/sbin/sshd -f /run/sshd_config -E /run/sshd.log ;;
  newhostkey)
    rm "$folder/hostkey$2" "$folder/hostkey$2.pub"
    ssh-keygen -q -t ed25519 -N '' -C "n$2" -f "$folder/hostkey$2"
    inside "$2" sh -c 'cat > /run/hostkey; kill $(cat /run/sshd.pid); exec /usr/sbin/sshd -f /run/sshd_config' < "$folder/hostkey$2"
    ;;
  poweroff) poweroff "$2" ;;
  poweron) start "$2" && await "$2" ;;
  disk)
    place=$folder/home/$2
    [ "$2" != shared ] || place=$folder/shared
    mount -o "remount,size=$3" "$place"
    ;;
  hide)
    k=$2
    shift 2
    inside "$k" sh -c 'sed -i "s#/bin/bash\$#/bin/sh#" /etc/passwd
      for name; do rm -f "/bin/$name" "/usr/bin/$name" "/usr/local/bin/$name"; done' sh "$@"
    ;;
  jump)
    inside "$2" sh -c 'echo "$1" > /run/jump
      [ ! -e /usr/bin/date.real ] || exit 0
      mv /usr/bin/date /usr/bin/date.real
      cat > /usr/bin/date && chmod 755 /usr/bin/date' sh "$3" << 'EOC'
#!/bin/sh
[ "$*" = +%s ] || exec date.real "$@"
echo $(($(date.real +%s) + $(cat /run/jump)))
EOC
    ;;
  inside)
    shift
    inside "$@"
    ;;
  pids) inside "$2" ps -eo pid=,user=,args= ;;
  down)
    [ -n "${PREFIX:-}" ] || exit 0
    k=1
    while [ "$k" -le "$COUNT" ]; do
      poweroff "$k"
      ip netns del "$(netns "$k")" 2> /dev/null || true
      ip link del "$(cable "$k")" 2> /dev/null || true
      umount -l "$folder/home/$k" 2> /dev/null || true
      rmdir "$(group "$k")" 2> /dev/null || true
      k=$((k + 1))
    done
    ip link del "${PREFIX}br" 2> /dev/null || true
    umount -l "$folder/shared" "$folder/disk" 2> /dev/null || true
    rmdir "$(dirname "$(group 1)")" 2> /dev/null || true
    rm -rf "$folder"
    ;;
  *)
    echo "fleet.sh: no verb '$1'" >&2
    exit 2
    ;;
esac
