#!/bin/bash
# Process 1 of the process namespace of one guest: starts virtiofsd for its files, and QEMU.
#   machine.sh JOB SHARED KERNEL MEMORY CPUS    three folders; MB
set -euo pipefail
job=$1 shared=$2 kernel=$3 memory=$4 cpus=$5
here=$(cd "$(dirname "$0")" && pwd)
mount --make-rprivate /
mount -t proc proc /proc
# For sockets, whose paths must be short.
mount -t tmpfs tmpfs /run

# serve TAG FOLDER CACHE. The guest need not see what others change in the root meanwhile, but in the shared folder.
serve() {
  /usr/lib/qemu/virtiofsd --socket-path="/run/$1" -o source="$2" -o cache="$3" -o sandbox=chroot -o log_level=err \
    2>"$job/files-$1.log" &
}
serve root / always
serve shared "$shared" auto
until [ -S /run/root ] && [ -S /run/shared ]; do
  [ "$(jobs -pr | wc -l)" = 2 ] || exit 1
  sleep 0.05
done

# A device /dev/kvm without the instructions of the CPU is that of a nested machine: QEMU aborts there, or its guest hangs.
accelerator=tcg
if [ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo; then accelerator=kvm; fi
files=()
for tag in root shared; do
  files+=(-chardev "socket,id=$tag,path=/run/$tag" -device "vhost-user-fs-pci,chardev=$tag,tag=$tag,queue-size=1024")
done
parameters=(console=ttyS0 quiet panic=-1 mitigations=off nokaslr)
parameters+=(GUEST_SHARED="$shared" GUEST_JOB="$job" GUEST_KERNEL="$kernel" GUEST_INIT="$here/guest-init.sh")
# Without la57: a fifth level of page tables, which nothing here needs, makes each miss of the emulated TLB dearer.
qemu-system-x86_64 -M q35 -accel "$accelerator" -cpu max,la57=off -smp "$cpus" -m "${memory}M" \
  -object "memory-backend-memfd,id=memory,size=${memory}M,share=on" -numa node,memdev=memory "${files[@]}" \
  -chardev stdio,id=output,signal=off -device virtio-serial-pci -device virtconsole,chardev=output \
  -serial "file:$job/console" -nic none -display none -monitor none -no-reboot \
  -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd" -append "${parameters[*]}" </dev/null 2>>"$job/qemu.log"
