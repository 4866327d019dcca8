#!/usr/bin/env bash
# iptables.sh SUITE FOLDER: makes FOLDER/usr/sbin the iptables of that Debian suite, of both variants, and FOLDER/xtables its
# extensions. Nothing is installed, and root is not needed. A folder that works already is left alone. Exits with 1 and a reason
# on stderr when they cannot be had.
set -euo pipefail
readonly suite=$1 folder=$(realpath -m "$2")
. "$(dirname "$0")/debian-suite.sh"
works() { XTABLES_LIBDIR=$folder/xtables "$folder/usr/sbin/iptables-legacy" --version >/dev/null 2>&1; }

# Two runs may need the same one.
exec 9>"$folder.lock"
flock 9
works && exit
readonly state=$folder.fetch
rm -rf "$folder" "$state"
trap 'rm -rf "$state"; works || rm -rf "$folder"' EXIT
mkdir -p "$folder"
apt_state "$state" "$suite"
cd "$state"
export APT_CONFIG=$state/apt.conf
apt-get update -qq
apt-get download -qq iptables libxtables12 libip4tc2 libip6tc2 libmnl0 libnftnl11 libnfnetlink0 libnetfilter-conntrack3 libc6
unset APT_CONFIG
for package in *.deb; do dpkg-deb -x "$package" "$folder"; done
ensure_patchelf "$state"
# Since its C library may be newer than this machine's, the programs get the loader of that library, and know where theirs are.
# By DT_RPATH, which counts for the libraries of libraries too.
loader=$(find "$folder" -type f \( -name 'ld-linux-x86-64.so.2' -o -name 'ld-[0-9]*.so' \) -print -quit)
libraries=$(find "$folder" -name '*.so.*' -not -path '*/gconv/*' -printf '%h\n' | sort -u | paste -sd:)
for program in "$folder"/usr/sbin/xtables-*-multi; do
  patchelf --force-rpath --set-interpreter "$loader" --set-rpath "$libraries" "$program"
done
ln -s "$(dirname "$(find "$folder" -name libxt_comment.so -print -quit)")" "$folder/xtables"
works
