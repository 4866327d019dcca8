# Sourced by run.sh: what must be on this machine before anything runs.

ensure_npm_packages() {
  local stamp
  stamp=$(sha256sum package-lock.json | cut -d' ' -f1)
  if [ "$(cat node_modules/.installed 2>/dev/null)" != "$stamp" ]; then
    say "installing npm packages"
    npm ci --no-audit --no-fund --loglevel=error >"$CACHE/npm-ci.log" 2>&1 || { cat "$CACHE/npm-ci.log" >&2; return 1; }
    # Where install scripts are switched off, the node package has not fetched its binary yet.
    [ -x node_modules/node/bin/node ] ||
      (cd node_modules/node && node installArchSpecificPackage.js) >>"$CACHE/npm-ci.log" 2>&1 ||
      { cat "$CACHE/npm-ci.log" >&2; return 1; }
    echo "$stamp" >node_modules/.installed
  fi
  export PATH=$ROOT/node_modules/node/bin:$ROOT/node_modules/.bin:$PATH:/usr/sbin:/sbin
}

# Installs the Debian packages among the arguments that are missing; says how where it may not.
ensure_debian_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -ne 0 ]; then
    say "missing Debian packages; as root, run: apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
    return 1
  fi
  say "installing Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get install -y --no-install-recommends "${missing[@]}")
  "${install[@]}" >"$CACHE/apt.log" 2>&1 && return
  { apt-get update && "${install[@]}"; } >"$CACHE/apt.log" 2>&1 || { tail -20 "$CACHE/apt.log" >&2; return 1; }
}

# promtool judges the metrics, and the Prometheus of the same package scrapes them. It is unpacked, not installed: the package would start a Prometheus on this machine.
ensure_promtool() {
  export PATH=$PATH:$CACHE/prometheus/usr/bin
  command -v promtool >/dev/null && return
  say "fetching promtool"
  (
    cd "$CACHE" && rm -f prometheus_*.deb
    apt-get download prometheus || { apt-get update && apt-get download prometheus; }
    dpkg-deb -x prometheus_*.deb prometheus
  ) >"$CACHE/promtool.log" 2>&1 || say "promtool cannot be had, see $CACHE/promtool.log: the tests that need it fail"
}
