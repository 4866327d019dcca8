#!/bin/bash
# Process 1 of the guest, in the files of the machine that runs it: makes it a machine, runs the job, leaves its exit status,
# powers off. /proc/sys/kernel/modprobe stays as it is: modules load by themselves, as on a node.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock /run/bin /dev/shm /dev/pts /lib/modules
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
ln -s /proc/self/fd /dev/fd
ln -sfn "$GUEST_KERNEL/lib/modules/$(uname -r)" "/lib/modules/$(uname -r)"
. "$GUEST_JOB/job.sh"
export PATH=/run/bin:$PATH HOME ROOT
# The plain names are those of the chosen backend, whatever the machine has chosen for itself.
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -s "$(command -v "${tool/tables/tables-${GUEST_IPTABLES:-nft}}")" "/run/bin/$tool"
done
ip link set lo up
ulimit -n 1048576
cd "$ROOT" || exit
# As in the guest of User Mode Linux: through a pipe whose end is a line of its own.
stty -opost </dev/hvc0
mkfifo /run/output
sed -u '/--end-of-job--$/{s///;/^$/!p;Q}' /run/output >/dev/hvc0 &
printer=$!
exec 3>/run/output
# Measured here too, for the machine around the guest is several times faster. The larger one counts.
measured=$(node test/support/run/calibrate.ts) || measured="40 nothing measured"
if awk -v given="${PATIENCE:-0}" -v own="${measured%% *}" 'BEGIN { exit !(own > given) }'; then
  export PATIENCE=${measured%% *}
  echo ">> patience $PATIENCE in the guest (${measured#* })" >&3
fi
setsid -w "${command[@]}" </dev/null >&3 2>&3 3>&-
echo $? >"$GUEST_JOB/status"
echo --end-of-job-- >&3
wait "$printer"
sync
echo o >/proc/sysrq-trigger
sleep 10
