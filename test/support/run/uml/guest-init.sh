#!/bin/bash
# Process 1 of the User Mode Linux guest: makes it a machine, runs the job, leaves its exit status, powers off.
# The guest's root is the host's file system, so whatever it writes outside a tmpfs is the host's own file.
# Lines end as they were written, and the kernel's remarks on packets stay in its log.
stty -onlcr
mount -t proc proc /proc
echo 3 >/proc/sys/kernel/printk
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
[ -d /dev/shm ] && mount -t tmpfs tmpfs /dev/shm
job=$GUEST_JOB
. "$job/job.sh"
# The kernel's io_uring breaks a guest from 6.12 on ("BUG: Bad page map"), and libuv uses it where it is there.
[ ! -e /proc/sys/kernel/io_uring_disabled ] || echo 2 >/proc/sys/kernel/io_uring_disabled
export PATH HOME ROOT LANG=C.UTF-8
# The guest has no nat chains of nf_tables, so the plain names must be the legacy tools.
mkdir -p /run/bin
for tool in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -s "$(command -v "${tool/tables/tables-legacy}")" "/run/bin/$tool"
done
# crun starts itself anew from a mount of its own file, which User Mode Linux 5.10 cannot (execveat: ENOENT). It does not where
# its file is on a read-only mount and the variable says so.
if crun=$(command -v crun); then
  mkdir /run/read-only
  mount --bind "$(dirname "$crun")" /run/read-only
  mount -o remount,bind,ro /run/read-only
  printf '#!/bin/sh\n_LIBCONTAINER_CLONED_BINARY=1 exec /run/read-only/crun "$@"\n' >/run/bin/crun
  chmod +x /run/bin/crun
fi
PATH=/run/bin:$PATH
mkdir -p /run/modules/lib/modules
ln -s "$uml_modules/$(uname -r)" /run/modules/lib/modules/
printf '#!/bin/sh\nexec /sbin/modprobe -d /run/modules "$@"\n' >/run/bin/modprobe
chmod +x /run/bin/modprobe
# One process for all, for each takes a guest 46 ms.
# shellcheck disable=SC2046 # a name is one word
absent=$(modprobe -a $(grep -v '^#' "$ROOT/test/support/run/modules.txt") 2>&1 | sed -n 's/.*Module \([^ ]*\) not found.*/\1/p')
[ -z "$absent" ] || echo "guest: kernel $(uname -r) has no modules" $absent
# Nor can the kernel load any by itself. Without this it tries in every call of iptables, which takes a third of a second.
echo >/proc/sys/kernel/modprobe
ip link set lo up
cd "$ROOT" || exit
# Through a pipe: on a terminal programs hide the cursor and redraw lines, which gets mixed with the kernel's own. What the job
# left running may hold the pipe open, so its end is a line of its own.
mkfifo /run/output
sed -u '/--end-of-job--$/{s///;/^$/!p;Q}' /run/output &
printer=$!
exec 3>/run/output
setsid -w "${command[@]}" </dev/null >&3 2>&3 3>&-
echo $? >"$job/status"
echo --end-of-job-- >&3
wait "$printer"
# How busy a guest is says how many may share a CPU.
[ -z "${TEST_RECORD:-}" ] || awk '{ printf "guest: up %d s, of which its CPU was idle %d s\n", $1, $2 }' /proc/uptime
# For what the console of the guest has not written yet.
sleep 0.5
echo o >/proc/sysrq-trigger
sleep 10
