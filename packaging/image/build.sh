#!/usr/bin/env bash
# build.sh FOLDER [ARCHITECTURE]: builds the image without Docker, as root, from dist/ (npm run build), for amd64 or arm64; without a name, for
# the architecture of this machine. It needs Debian and its package buildah, and runs nothing of another architecture. Leaves in FOLDER:
# kube-ipvs.tar (an OCI archive, compressed with zstd) and rootfs/ (what is in it). The Debian packages are kept in
# .cache/debian for the next call. Two calls make equal bytes.
set -euo pipefail
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/../.."
own=$(dpkg --print-architecture)
architecture=${2:-$own}
readonly folder own architecture
# Not the storage of the machine: vfs works on every file system.
buildah() { command buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver vfs "$@"; }

# The Debian packages of an architecture, in a tar file.
fetch_debian() {
  local system=$folder/system
  [ -e ".cache/debian/$1.tar" ] && return
  rm -rf "$system"
  sh packaging/image/debian.sh "$1" "$system"
  mkdir -p .cache/debian
  tar -C "$system" -cf ".cache/debian/$1.tar.new" .
  rm -rf "$system"
  mv ".cache/debian/$1.tar.new" ".cache/debian/$1.tar"
}

# npm install of another package removes the package in which it is.
ls node_modules/node/node_modules/*/LICENSE >/dev/null 2>&1 ||
  { echo "node_modules has no license of Node.js: run npm ci" >&2; exit 1; }
node=node_modules/node/node_modules
if [ "$architecture" != "$own" ]; then
  bash packaging/image/fetch-node.sh "$architecture"
  node=.cache/node/$architecture/node_modules
fi
fetch_debian "$own"
fetch_debian "$architecture"

rm -rf "$folder/storage" "$folder/run" "$folder/layout" "$folder/rootfs" "$folder/kube-ipvs.tar"
# The packages of this architecture are also the system in which the first stage runs.
container=$(buildah from scratch)
buildah add -q "$container" ".cache/debian/$own.tar" / >/dev/null
buildah add -q "$container" ".cache/debian/$architecture.tar" "/build/debian-$architecture" >/dev/null
buildah commit -q --timestamp 0 "$container" kube-ipvs-base >/dev/null
buildah rm "$container" >/dev/null

version=$(node -p 'require("./package.json").version')
buildah bud -q --isolation chroot --layers=false --timestamp 0 --platform "linux/$architecture" -f packaging/image/Dockerfile -t kube-ipvs \
  --build-arg BUILDPLATFORM="linux/$own" --build-arg BASE=localhost/kube-ipvs-base --build-arg NODE="$node" --build-arg VERSION="$version" \
  --build-arg REVISION="$(git rev-parse HEAD)" . >/dev/null
buildah push -q --compression-format zstd kube-ipvs "oci:$folder/layout:kube-ipvs:$version"
tar -C "$folder/layout" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go=rX -cf "$folder/kube-ipvs.tar" .
container=$(buildah from --platform "linux/$architecture" kube-ipvs)
cp -a "$(buildah mount "$container")" "$folder/rootfs"
rm -rf "$folder/storage" "$folder/run" "$folder/layout"
