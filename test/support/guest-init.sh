#!/bin/bash
# Process 1 of the User Mode Linux guest: makes it a machine, runs the job, leaves its exit status, powers off.
# The guest's root is the host's file system, so whatever it writes outside a tmpfs is the host's own file.
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
[ -d /dev/shm ] && mount -t tmpfs tmpfs /dev/shm
job=$GUEST_JOB
. "$job/job.sh"
export PATH HOME ROOT LANG=C.UTF-8
# The guest has no nat chains of nf_tables, so the plain names must be the legacy tools.
mkdir -p /run/bin
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -s "$(command -v "${tool/tables/tables-legacy}")" "/run/bin/$tool"
done
PATH=/run/bin:$PATH
mkdir -p /run/modules/lib/modules
ln -s "/usr/lib/uml/modules/$(uname -r)" /run/modules/lib/modules/
for module in $(grep -v '^#' "$ROOT/test/support/modules.txt"); do
  modprobe -d /run/modules "$module" || echo "guest: no module $module"
done
ip link set lo up
cd "$ROOT" && setsid -w "${command[@]}" </dev/null
echo $? >"$job/status"
sync
echo o >/proc/sysrq-trigger
sleep 10
