#!/bin/sh
# debian.sh ARCHITECTURE FOLDER: lays out the Debian packages of the image, with all on which they depend, for any architecture. It runs
# no program of theirs, so that arm64 needs no arm64 machine. It needs apt and dpkg-deb, and no root.
set -eu
architecture=$1
mkdir -p "$2"
folder=$(realpath "$2")
suite=trixie
# base-files has /etc/os-release. kmod loads liblzma and libzstd when it meets a compressed module; dash runs the build.
packages='base-files ca-certificates coreutils dash iproute2 iptables kmod libatomic1 liblzma5 libstdc++6 libzstd1 util-linux'

# The mirror of this machine, if it has one of Debian.
mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
  sed -nE 's/^(URIs:|deb( \[[^]]*\])?)[[:space:]]+(https?:[^[:space:]]*debian\/?)([[:space:]].*)?$/\3/p' | head -1)
mirror=${mirror:-http://deb.debian.org/debian}
keys=$(ls /usr/share/keyrings/debian-archive-keyring.* | head -1)

# The state of apt is in a folder of its own: that of the machine stays as it is.
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/parts"
: >"$apt/status"
cat >"$apt/sources.list" <<EOF
deb [signed-by=$keys] $mirror $suite main
deb [signed-by=$keys] $mirror $suite-updates main
deb [signed-by=$keys] $(echo "$mirror" | sed 's|debian/*$|debian-security|') $suite-security main
EOF
cat >"$apt/apt.conf" <<EOF
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/parts";
Dir::Etc::preferencesparts "$apt/parts";
EOF
export APT_CONFIG="$apt/apt.conf"
apt-get -qq update
apt-get -qq -y -o Debug::NoLocking=1 --download-only install $packages >/dev/null

info=$folder/var/lib/dpkg/info
mkdir -p "$folder/usr/bin" "$folder/usr/sbin" "$folder/usr/lib" "$folder/usr/lib64" "$info"
for name in bin sbin lib lib64; do [ -e "$folder/$name" ] || ln -s "usr/$name" "$folder/$name"; done
for archive in "$apt"/cache/archives/*.deb; do
  name=$(dpkg-deb -f "$archive" Package)
  dpkg-deb --fsys-tarfile "$archive" | tar -x --no-same-owner --keep-directory-symlink -C "$folder"
  dpkg-deb --fsys-tarfile "$archive" | tar -t | sed 's|^\./|/|' >"$info/$name.list"
  dpkg-deb -f "$archive" >"$info/$name.control"
done
# As update-ca-certificates puts them together.
cat "$folder"/usr/share/ca-certificates/mozilla/*.crt >"$folder/etc/ssl/certs/ca-certificates.crt"
