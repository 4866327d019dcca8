#!/usr/bin/env bash
# build.sh FOLDER: builds the image without Docker, as root, from dist/ (npm run build). It needs the Debian packages buildah and
# debootstrap. Leaves in FOLDER: kube-ipvs.tar (an OCI archive, compressed with zstd), rootfs/ (what is in it), and base.tar, which
# the next call takes. Two calls make equal bytes.
set -euo pipefail
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/../.."
readonly folder SUITE=trixie
# As the Dockerfile installs them.
readonly PACKAGES=ca-certificates,iproute2,iptables,kmod,libatomic1,libstdc++6
# Not the storage of the machine: vfs works on every file system.
buildah() { command buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver vfs "$@"; }

mirror() {
  local found
  found=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
    sed -nE 's/^(URIs:|deb( \[[^]]*\])?)[[:space:]]+(https?:[^[:space:]]*debian\/?)([[:space:]].*)?$/\3/p' | head -1) || true
  echo "${found:-http://deb.debian.org/debian}"
}

# The Debian system of the first stage.
make_base() {
  local system=$folder/system
  rm -rf "$system"
  debootstrap --variant=minbase --include="$PACKAGES" "$SUITE" "$system" "$(mirror)" >"$folder/debootstrap.log" 2>&1 ||
    { tail -5 "$folder/debootstrap.log" >&2; return 1; }
  tar -C "$system" --exclude=./var/cache/apt --exclude=./var/lib/apt/lists -cf "$folder/base.tar.new" .
  rm -rf "$system"
  mv "$folder/base.tar.new" "$folder/base.tar"
}

# npm install of another package removes the package in which it is.
ls node_modules/node/node_modules/*/LICENSE >/dev/null 2>&1 ||
  { echo "node_modules has no license of Node.js: run npm ci" >&2; exit 1; }
rm -rf "$folder/storage" "$folder/run" "$folder/layout" "$folder/rootfs" "$folder/kube-ipvs.tar"
[ -e "$folder/base.tar" ] || make_base
container=$(buildah from scratch)
buildah add -q "$container" "$folder/base.tar" / >/dev/null
buildah commit -q --timestamp 0 "$container" kube-ipvs-base >/dev/null
buildah rm "$container" >/dev/null

version=$(node -p 'require("./package.json").version')
buildah bud -q --isolation chroot --layers=false --timestamp 0 -f packaging/image/Dockerfile -t kube-ipvs \
  --build-arg BASE=localhost/kube-ipvs-base --build-arg VERSION="$version" --build-arg REVISION="$(git rev-parse HEAD)" . >/dev/null
buildah push -q --compression-format zstd kube-ipvs "oci:$folder/layout:kube-ipvs:$version"
tar -C "$folder/layout" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go=rX -cf "$folder/kube-ipvs.tar" .
container=$(buildah from kube-ipvs)
cp -a "$(buildah mount "$container")" "$folder/rootfs"
rm -rf "$folder/storage" "$folder/run" "$folder/layout"
