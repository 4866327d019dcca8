#!/bin/bash
# Makes fresh network and mount namespaces of the host a place for tests, and runs a command there.
set -e
mount --make-rprivate /
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
root=$(cd "$(dirname "$0")/../.." && pwd)
for module in $(grep -v '^#' "$root/test/support/modules.txt"); do modprobe -q "$module" || true; done
ip link set lo up
cd "$root"
exec "$@" </dev/null
