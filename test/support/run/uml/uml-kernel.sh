#!/usr/bin/env bash
# uml-kernel.sh SUITE FOLDER: makes FOLDER/usr/bin/linux.uml the User Mode Linux of that Debian suite, with its modules in
# FOLDER/usr/lib/uml/modules. Nothing is installed, apt has a state of its own for that suite, and root is not needed.
# A folder that works already is left alone. Exits with 1 and a reason on stderr when the kernel cannot be had.
set -euo pipefail
readonly suite=$1 folder=$(realpath -m "$2")
readonly program=$folder/usr/bin/linux.uml

works() { "$program" --version >/dev/null 2>&1; }

. "$(dirname "$0")/../debian-suite.sh"

# Two runs may need the same kernel.
exec 9>"$folder.lock"
flock 9
works && exit
readonly state=$folder.fetch
rm -rf "$folder" "$state"
trap 'rm -rf "$state"; works || rm -rf "$folder"' EXIT
apt_state "$state" "$suite"
cd "$state"
export APT_CONFIG=$state/apt.conf
apt-get update -qq
apt-get download -qq user-mode-linux
dpkg-deb -x user-mode-linux_*.deb "$folder"
# A kernel of a newer suite needs the C library of that suite. The program starts itself anew from /proc/self/exe, so it cannot
# be started through that library's loader: the path of the loader is written into the program.
if ! works; then
  apt-get download -qq libc6
  dpkg-deb -x libc6_*.deb "$folder/libc"
  unset APT_CONFIG
  ensure_patchelf "$state"
  loader=$(find "$folder/libc" -name 'ld-linux-x86-64.so.2' -type f -print -quit)
  patchelf --set-interpreter "$loader" --set-rpath "$(dirname "$loader")" "$program"
fi
"$program" --version >/dev/null
