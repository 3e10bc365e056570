#!/bin/sh
# node.sh FOLDER K: the first process of node K, in namespaces of its own. Its disk (FOLDER/disk/K, FOLDER/home/K)
# outlives a power cut, /tmp and /run do not. The root file system is this machine's under an overlay.
set -eu
folder=$1 k=$2
. "$folder/fleet.conf"
exec 3>"$folder/up$k"
mount --make-rprivate /
root=$folder/root
disk=$folder/disk/$k
mkdir -p "$disk/upper" "$disk/work"
mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs none "$root/tmp"
mount -t tmpfs none "$root/run"
chmod 1777 "$root/tmp"
mkdir -p "$folder/home/$k/root" "$folder/home/$k/home/dev" "$root/shared" "$root/oldroot"
chmod 700 "$folder/home/$k/root" "$folder/home/$k/home/dev"
mount --bind "$folder/home/$k/root" "$root/root"
mount --bind "$folder/home/$k/home" "$root/home"
mount --bind "$folder/shared" "$root/shared"
mkdir -p "$root/run/sshd"
install -m 600 "$folder/hostkey$k" "$root/run/hostkey"
cp "$folder/id.pub" "$root/run/id.pub"
hostname "n$k"
cd "$root"
pivot_root . oldroot
cd /
umount -l /oldroot

echo "n$k" > /etc/hostname
{
  echo "127.0.0.1 localhost"
  i=1
  while [ "$i" -le "$COUNT" ]; do echo "$NET.$i n$i"; i=$((i + 1)); done
} > /etc/hosts
: > /etc/resolv.conf
# Somebody who is not root. With SHARED, the home is the same directory on every node.
home=/home/dev
[ "$SHARED" = 0 ] || home=/shared/home/dev
if ! grep -q ^dev: /etc/passwd; then
  echo "dev:x:1777:1777::$home:/bin/bash" >> /etc/passwd
  echo "dev:x:1777:" >> /etc/group
  echo "dev:*:19000:0:99999:7:::" >> /etc/shadow
fi
mkdir -p "$home"
for place in root:/root dev:$home; do
  owner=${place%%:*} at=${place#*:}
  mkdir -p "$at/.ssh"
  cp /run/id.pub "$at/.ssh/authorized_keys"
  chmod 700 "$at" "$at/.ssh"
  chown -R "$owner:" "$at/.ssh"
  chown "$owner:" "$at"
done
# Sessions and start-ups are sshd's own defaults (10 of each): what sky must live with.
cat > /run/sshd_config <<EOC
Port 22
HostKey /run/hostkey
PidFile /run/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
UseDNS no
AuthorizedKeysFile .ssh/authorized_keys
Subsystem sftp internal-sftp
EOC
/usr/sbin/sshd -f /run/sshd_config -E /run/sshd.log
[ ! -f /etc/fleet-boot ] || sh /etc/fleet-boot
echo up >&3
exec 3>&-
exec tini -s -- sleep infinity
