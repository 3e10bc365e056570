#!/bin/sh
# Slurm on a fleet made with `fleet.sh up N shared`: n1 is the login node and runs slurmctld, n2… compute. No
# accounting. Each compute node has 2 CPUs, 4000 MB and 4 GPUs of type h100 (devices that swallow everything).
#
#   FLEET_DIR=… slurm.sh up              slurm.sh killd|startd K     slurmd of a compute node
#   slurm.sh admin CMD …                 as root on the login node, e.g. `admin scontrol update …`
set -eu
folder=${FLEET_DIR:?}
here=$(cd "$(dirname "$0")" && pwd)
. "$folder/fleet.conf"
inside() { "$here/fleet.sh" inside "$@"; }

config() {
  cat <<EOC
ClusterName=fleet
SlurmctldHost=n1
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/fleet-slurm/state
SlurmdSpoolDir=/var/spool/fleet-slurm/d
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/run/slurmctld.log
SlurmdLogFile=/run/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
SlurmctldTimeout=10
SlurmdTimeout=20
KillWait=2
MailProg=/bin/true
GresTypes=gpu
JobAcctGatherType=jobacct_gather/none
NodeName=n[2-$COUNT] CPUs=2 RealMemory=4000 Gres=gpu:h100:4 State=UNKNOWN
PartitionName=main Nodes=n[2-$COUNT] Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=n2 MaxTime=10 State=UP
EOC
}

# Run at every start of the node: the daemons it has.
boot() {
  cat <<'EOC'
mkdir -p /run/munge /run/gpus /var/spool/fleet-slurm/state /var/spool/fleet-slurm/d
chown munge: /run/munge
for g in 0 1 2 3; do [ -e /run/gpus/nvidia$g ] || mknod /run/gpus/nvidia$g c 1 3; done
setpriv --reuid=munge --regid=munge --clear-groups munged --force --key-file=/etc/fleet-munge/key \
  --seed-file=/run/munge/seed --log-file=/run/munge/log --pid-file=/run/munge/pid
EOC
  if [ "$1" = 1 ]; then echo 'slurmctld'; else echo 'slurmd'; fi
}

up() {
  head -c 1024 /dev/urandom > "$folder/munge"
  k=1
  while [ "$k" -le "$COUNT" ]; do
    inside "$k" sh -c 'mkdir -p /etc/fleet-munge; cat > /etc/fleet-munge/key
      chown -R munge: /etc/fleet-munge; chmod 700 /etc/fleet-munge; chmod 400 /etc/fleet-munge/key' < "$folder/munge"
    config | inside "$k" sh -c 'mkdir -p /etc/slurm; cat > /etc/slurm/slurm.conf
      echo "Name=gpu Type=h100 File=/run/gpus/nvidia[0-3]" > /etc/slurm/gres.conf
      echo "CgroupPlugin=cgroup/v1" > /etc/slurm/cgroup.conf'
    boot "$k" | inside "$k" sh -c 'cat > /etc/fleet-boot; sh /etc/fleet-boot'
    k=$((k + 1))
  done
  tries=0
  until [ "$(inside 1 sinfo -h -p main -t idle -o %D 2> /dev/null)" = $((COUNT - 1)) ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ]; then
      inside 1 sh -c 'sinfo -N -l; tail -n 20 /run/slurmctld.log' >&2
      return 1
    fi
    sleep 0.1
  done
}

case $1 in
  up) up ;;
  killd) inside "$2" sh -c 'kill -9 $(cat /run/slurmd.pid)' ;;
  startd) inside "$2" slurmd ;;
  admin)
    shift
    inside 1 "$@"
    ;;
  *)
    echo "slurm.sh: no verb '$1'" >&2
    exit 2
    ;;
esac
