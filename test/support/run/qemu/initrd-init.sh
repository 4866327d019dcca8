#!/bin/busybox sh
# Process 1 of the initrd: mounts the files of the machine that runs the guest, below a tmpfs for what the guest writes.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules/order); do $b insmod "/modules/$module"; done
for word in $($b cat /proc/cmdline); do
  case $word in GUEST_*) export "$word" ;; esac
done
$b mount -t virtiofs -o ro root /files
$b mount -t tmpfs -o mode=755,size=75% tmpfs /changes
$b mkdir /changes/upper /changes/work
$b mount -t overlay -o lowerdir=/files,upperdir=/changes/upper,workdir=/changes/work overlay /root
$b mount -t virtiofs shared "/root$GUEST_SHARED"
$b umount /proc /sys
$b mount --move /dev /root/dev
exec $b switch_root /root /bin/bash "$GUEST_INIT"
