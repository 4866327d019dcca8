#!/bin/sh
# assemble.sh FOLDER: puts the root file system of the image together from the programs of this Debian system: each with the
# libraries that it needs, the copyright of its package, and the entry by which scanners find the package.
# All files get the time SOURCE_DATE_EPOCH (by default 0), so that two runs make equal files.
set -eu
root=$1

# As Debian lays it out: /bin, /lib and others are links into /usr.
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/etc/ssl/certs" "$root/var/lib/dpkg/status.d"
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp" "$root/usr/lib/modules" "$root/opt"
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
ln -s ../run "$root/var/run"

packages=

# Copies a file to the same path, and notes its package.
copy() {
  path=$(readlink -f "$1")
  [ ! -e "$root$path" ] || return 0
  mkdir -p "$root$(dirname "$path")"
  cp "$path" "$root$path"
  owner=$(dpkg -S "$path" 2>/dev/null || dpkg -S "${path#/usr}" 2>/dev/null || true)
  packages="$packages ${owner%%:*}"
}

# Copies a library under the name by which the loader looks for it.
copy_library() {
  copy "$1"
  target=$(readlink -f "$1")
  name="$(dirname "$target")/$(basename "$1")"
  case $1 in /lib64/*) name=/usr$1 ;; esac
  [ -e "$root$name" ] || ln -s "$target" "$root$name"
}

# Copies what ldd prints for a file.
copy_libraries() {
  for library in $(ldd "$1" | grep -o '/[^ ]*' || true); do copy_library "$library"; done
}

# Copies the libraries that a program loads only when it needs them. Debian notes their names in the program.
copy_optional_libraries() {
  for name in $(grep -ao '"soname":\["[^"]*' "$1" | cut -d'"' -f4); do
    for library in /usr/lib/*/"$name"; do
      copy_library "$library"
      copy_libraries "$library"
    done
  done
}

program() {
  path=$(readlink -f "$(command -v "$1")")
  copy "$path"
  copy_libraries "$path"
}

for name in env ip kmod setpriv xtables-legacy-multi xtables-nft-multi; do program "$name"; done
# modprobe reads modules that are compressed with xz or zstd by them.
copy_optional_libraries "$root/usr/bin/kmod"
ln -s kmod "$root/usr/bin/modprobe"
for family in iptables ip6tables; do
  for suffix in '' -save -restore; do
    ln -s xtables-legacy-multi "$root/usr/sbin/$family-legacy$suffix"
    ln -s xtables-nft-multi "$root/usr/sbin/$family-nft$suffix"
    ln -s xtables-nft-multi "$root/usr/sbin/$family$suffix"
  done
done
# All of them: iptables-save ends with an error at a rule of another program whose extension is missing.
# Some have several names, by links.
for extension in $(find / -xdev -path '*/xtables/lib*.so' -not -path "$root/*"); do
  copy "$extension"
  copy_libraries "$extension"
  [ ! -L "$extension" ] || cp -P "$extension" "$root$extension"
done

# Node.js, without symbols and with the English data of ICU alone: see README.md.
/build/node/node /build/trim-node.ts /build/node/node "$root/usr/bin/node"
copy_libraries "$root/usr/bin/node"
mkdir -p "$root/usr/share/doc/nodejs"
cp /build/node/LICENSE "$root/usr/share/doc/nodejs/copyright"

cp -r /build/dist "$root/opt/kube-ipvs"
ln -s ../../opt/kube-ipvs/kube-ipvs.mjs "$root/usr/bin/kube-ipvs"
# The binding of the other architecture.
case $(uname -m) in x86_64) rm "$root/opt/kube-ipvs/netlink.linux-arm64.node" ;; *) rm "$root/opt/kube-ipvs/netlink.linux-x64.node" ;; esac

cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
packages="$packages ca-certificates"
echo 'root:x:0:0:root:/root:/nonexistent' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp /etc/os-release "$root/etc/os-release"

for package in $(printf '%s\n' $packages | sort -u); do
  dpkg-query -s "$package" >"$root/var/lib/dpkg/status.d/$package"
  mkdir -p "$root/usr/share/doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/copyright"
done

find "$root" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
