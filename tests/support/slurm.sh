#!/usr/bin/env bash
# A real Slurm on this machine for tests: munged, slurmctld and several slurmd, all in one pid namespace, so that
# ending this script's namespace ends every daemon and every job. Usage, as root:
#   unshare -m -p -f --kill-child --mount-proc bash slurm.sh FOLDER PORT NODES
# Prints "ready" when all nodes are idle, then waits for its standard input to close. FOLDER/extra.conf, if there,
# is added to the configuration; FOLDER/nodes.conf replaces the nodes' sizes. Clients use SLURM_CONF=FOLDER/slurm.conf.
set -euo pipefail
D=$1 PORT=$2 N=$3
H=$(hostname -s)
export SLURM_CONF=$D/slurm.conf
export TZ=UTC
mkdir -p "$D/state" "$D/spool" "$D/log" "$D/munge" "$D/socket"
chmod 755 "$D" "$D/socket"
chmod 700 "$D/munge"
head -c 1024 /dev/urandom >"$D/munge/key"
chmod 400 "$D/munge/key"
chown -R munge "$D/munge" "$D/socket"
setpriv --reuid=munge --regid=munge --clear-groups munged -F --key-file="$D/munge/key" --socket="$D/socket/s" \
  --pid-file="$D/munge/pid" --log-file="$D/munge/log" --seed-file="$D/munge/seed" >/dev/null 2>&1 </dev/null &
for g in 0 1 2 3; do [ -e "$D/nvidia$g" ] || mknod "$D/nvidia$g" c 1 3; done
cat >"$D/slurm.conf" <<EOC
ClusterName=t
SlurmctldHost=$H(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$D/socket/s
CredType=cred/munge
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldPidFile=$D/slurmctld.pid
SlurmdPidFile=$D/slurmd-%n.pid
SlurmctldLogFile=$D/log/slurmctld
SlurmdLogFile=$D/log/slurmd-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmctldTimeout=30
SlurmdTimeout=6
MinJobAge=600
KillWait=2
InactiveLimit=0
MailProg=/bin/true
GresTypes=gpu
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
EOC
[ ! -e "$D/extra.conf" ] || cat "$D/extra.conf" >>"$D/slurm.conf"
: >"$D/gres.conf"
: >"$D/cgroup.conf"
size="CPUs=4 RealMemory=4000 Gres=gpu:h100:4"
[ ! -e "$D/nodes.conf" ] || size=$(cat "$D/nodes.conf")
for k in $(seq 1 "$N"); do
  echo "NodeName=n$k NodeHostname=$H NodeAddr=127.0.0.1 Port=$((PORT + k)) $size State=UNKNOWN" >>"$D/slurm.conf"
  echo "NodeName=n$k Name=gpu Type=h100 File=$D/nvidia[0-3]" >>"$D/gres.conf"
  mkdir -p "$D/spool/n$k"
done
echo "PartitionName=main Nodes=n[1-$N] Default=YES MaxTime=INFINITE State=UP PriorityTier=10" >>"$D/slurm.conf"
echo "PartitionName=short Nodes=n1 MaxTime=00:01:00 State=UP PriorityTier=10" >>"$D/slurm.conf"
echo "PartitionName=low Nodes=n[1-$N] MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=CANCEL" >>"$D/slurm.conf"
for _ in $(seq 100); do [ -S "$D/socket/s" ] && break; sleep 0.05; done
slurmctld -D -i -f "$D/slurm.conf" >"$D/log/slurmctld.out" 2>&1 </dev/null &
for k in $(seq 1 "$N"); do
  slurmd -D -N "n$k" -f "$D/slurm.conf" >"$D/log/slurmd-n$k.out" 2>&1 </dev/null &
  echo $! >"$D/slurmd-n$k.inner"
done
for _ in $(seq 200); do
  if [ "$(sinfo -h -p main -t idle -o %D 2>/dev/null || true)" = "$N" ]; then
    echo ready
    cat >/dev/null
    exit 0
  fi
  sleep 0.1
done
echo "not ready"
sinfo || true
tail -n 5 "$D"/log/* || true
exit 1
