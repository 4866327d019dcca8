#!/bin/bash
# Unpacks the newest cloud kernel of a suite of Debian, and packs the initrd that it boots with:
#   fetch.sh SUITE FOLDER    makes FOLDER/vmlinuz, FOLDER/lib/modules/VERSION, FOLDER/initrd
# Its apt has a state of its own in FOLDER, so the machine's stays as it is.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=$1 folder=$2
[ ! -e "$folder/initrd" ] || exit 0
rm -rf "$folder"
mkdir -p "$folder"/apt/{lists/partial,archives/partial} "$folder/tree"
cd "$folder"
mirror=http://deb.debian.org/debian
{
  echo "deb $mirror $suite main"
  # Backports have no updates of security of their own.
  [[ $suite = *-backports ]] || echo "deb $mirror-security $suite-security main"
} | sed 's|^deb|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]|' >apt/sources.list
cat >apt/apt.conf <<CONF
Dir::Etc::sourcelist "$folder/apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$folder/apt/lists";
Dir::Cache "$folder/apt";
Dir::State::status "/dev/null";
APT::Architecture "amd64";
APT::Sandbox::User "root";
CONF
export APT_CONFIG=$folder/apt/apt.conf
apt-get update --error-on=any

# linux-image-cloud-amd64 depends on the package of one version. Until 6.12 that has all; later ones divide it.
image=$(apt-cache depends --important linux-image-cloud-amd64 | grep -om1 'linux-image-[0-9].*')
packages=("$image")
for part in base binary modules; do
  apt-cache show "${image/image/$part}" >/dev/null 2>&1 && packages+=("${image/image/$part}")
done
(cd apt && apt-get download "${packages[@]}")
for package in apt/*.deb; do dpkg-deb -x "$package" tree; done
version=${image#linux-image-}
mkdir -p lib/modules
mv "$(find tree -type d -path "*/modules/$version")" lib/modules/
mv "$(find tree lib -type f -name "vmlinuz*")" vmlinuz
depmod -b "$folder" "$version"

# With busybox and the modules that the guest needs to reach the files of this machine.
mkdir -p initrd.tree/{bin,proc,sys,dev,files,changes,root,modules}
cp /bin/busybox initrd.tree/bin/
cp "$here/initrd-init.sh" initrd.tree/init
chmod +x initrd.tree/init
for module in virtio_pci virtiofs virtio_console overlay; do
  # Each with what it depends on before it: "insmod PATH" or "builtin NAME".
  modprobe -d "$folder" -S "$version" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
  name=$(basename "$path" .xz)
  case $path in
    *.xz) busybox unxz -c "$path" ;;
    *) cat "$path" ;;
  esac >"initrd.tree/modules/$name"
  echo "$name" >>initrd.tree/modules/order
done
(cd initrd.tree && find . | busybox cpio -o -H newc | gzip -1) >initrd.new
rm -rf apt tree initrd.tree
mv initrd.new initrd
