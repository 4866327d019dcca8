#!/bin/bash
# Makes fresh network, mount and process namespaces of the host a place for tests, and runs a command there. It is process 1
# of them: all that the command has started ends with it.
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
root=$(cd "$(dirname "$0")/../../.." && pwd)
for module in $(grep -v '^#' "$root/test/support/run/modules.txt"); do modprobe -q "$module" || true; done
ip link set lo up
cd "$root"
"$@" </dev/null
