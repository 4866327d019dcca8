#!/usr/bin/env bash
# fetch-node.sh ARCHITECTURE: fetches Node.js of another architecture (amd64 or arm64), of the version that node_modules has, from
# npm into .cache/node/ARCHITECTURE/node_modules.
set -euo pipefail
cd "$(dirname "$0")/../.."
case $1 in amd64) cpu=x64 ;; arm64) cpu=arm64 ;; *) echo "There is no image for $1" >&2; exit 1 ;; esac
version=$(node -p 'require("./package.json").devDependencies.node')
package=node-linux-$cpu
folder=.cache/node/$1/node_modules/$package
if ! grep -qs "\"version\": \"$version\"" "$folder/package.json"; then
  rm -rf "$folder"
  mkdir -p "$folder"
  archive=$(npm pack --silent --pack-destination "$folder" "$package@$version")
  tar -xzf "$folder/$archive" --no-same-owner --strip-components=1 -C "$folder" package/bin/node package/LICENSE package/package.json
  rm "$folder/$archive"
fi
