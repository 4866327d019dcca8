# Sourced by scripts that fetch packages of another Debian suite, without root and without a change to this machine.

readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that this machine uses already, where that is one of Debian.
mirror() {
  local found
  found=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
    sed -nE 's/^(URIs:|deb( \[[^]]*\])?)[[:space:]]+(https?:[^[:space:]]*debian\/?)([[:space:]].*)?$/\3/p' | head -1) || true
  echo "${found:-http://deb.debian.org/debian}"
}

# apt with lists and a cache of its own in the folder $1, for the suite $2; APT_CONFIG has to be $1/apt.conf.
apt_state() {
  mkdir -p "$1/lists/partial" "$1/cache/archives/partial"
  echo "deb [signed-by=$keyring] $(mirror) $2 main" >"$1/sources.list"
  printf '%s "%s";\n' Dir::Etc::sourcelist "$1/sources.list" Dir::Etc::sourceparts - Dir::State::Lists "$1/lists" \
    Dir::Cache "$1/cache" Dir::State::status /dev/null APT::Sandbox::User root >"$1/apt.conf"
}

# patchelf of this machine's own suite, unpacked into the folder $1 where it is not installed.
ensure_patchelf() {
  command -v patchelf >/dev/null && return
  (
    cd "$1"
    apt-get download -qq patchelf 2>/dev/null || { apt-get update -qq && apt-get download -qq patchelf; }
    dpkg-deb -x patchelf_*.deb patchelf
  )
  PATH=$PATH:$1/patchelf/usr/bin
}
