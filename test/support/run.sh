#!/usr/bin/env bash
# The one entry of `npm run demo | test | check | bench`: sets up what is missing, then runs it.
#   run.sh check          lint, types and the tests that need no privilege
#   run.sh test           check, and the suites on a real IPVS kernel; the last line is "N passed, N failed, N skipped"
#   run.sh demo           the shop of examples/ on a real IPVS kernel
#   run.sh bench [SIZES]  the benchmarks on a real IPVS kernel
#   run.sh bench watch    those of the watch layer, which need none
#   run.sh kernel CMD...  any command on a real IPVS kernel
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly ROOT=$PWD
readonly CACHE=$ROOT/.cache
readonly DEBIAN_PACKAGES=(iproute2 ipset iptables ipvsadm conntrack kmod curl procps perl-base util-linux)
readonly GUEST_PACKAGES=(user-mode-linux)
# Said here, for a guest cannot see what its output ends in.
if [ -t 1 ]; then export FORCE_COLOR=1; else export NO_COLOR=1; fi
export HOME=${HOME:-/tmp}
mkdir -p "$CACHE"

say() { printf '>> %s\n' "$*" >&2; }

# --- what must be there ------------------------------------------------------------------------------------------------

ensure_npm_packages() {
  local stamp
  stamp=$(sha256sum package-lock.json | cut -d' ' -f1)
  if [ "$(cat node_modules/.installed 2>/dev/null)" != "$stamp" ]; then
    say "installing npm packages"
    npm ci --no-audit --no-fund >"$CACHE/npm-ci.log" 2>&1 || { cat "$CACHE/npm-ci.log" >&2; return 1; }
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

# promtool judges the metrics. It is unpacked, not installed: the package would start a Prometheus on this machine.
ensure_promtool() {
  export PATH=$PATH:$CACHE/prometheus/usr/bin
  command -v promtool >/dev/null && return
  say "fetching promtool"
  (
    cd "$CACHE" && rm -f prometheus_*.deb
    apt-get download prometheus || { apt-get update && apt-get download prometheus; }
    dpkg-deb -x prometheus_*.deb prometheus
  ) >"$CACHE/promtool.log" 2>&1 || say "promtool cannot be had: the test that needs it is skipped"
}

# --- a real IPVS kernel ------------------------------------------------------------------------------------------------

# The host's own kernel serves when we are root, it has IPVS and dummy interfaces, and namespaces may be made.
host_has_ipvs() {
  [ "$(id -u)" -eq 0 ] && [ -z "${KUBE_IPVS_GUEST:-}" ] || return 1
  modprobe -q ip_vs 2>/dev/null || [ -e /proc/net/ip_vs ] || return 1
  unshare -n -m sh -c 'ip link add kube-ipvs-try type dummy && ipvsadm -Ln && ipset list -n' >/dev/null 2>&1
}

# Runs a command on a real IPVS kernel: in fresh namespaces of the host, else in a User Mode Linux guest.
in_kernel() {
  ensure_debian_packages "${DEBIAN_PACKAGES[@]}" || return 1
  if host_has_ipvs; then
    say "real kernel: this host's, in a network namespace of its own"
    unshare -n -m bash "$ROOT/test/support/namespace-init.sh" "$@"
  else
    ensure_debian_packages "${GUEST_PACKAGES[@]}" || return 1
    in_guest "$@"
  fi
}

in_guest() {
  say "real kernel: User Mode Linux"
  local job status=0 limit=${GUEST_SECONDS:-1500}
  job=$(mktemp -d "$CACHE/guest.XXXXXX")
  # Its memory is a file: large guests need more mappings than Linux grants by default.
  [ -w /proc/sys/vm/max_map_count ] && echo 1048576 >/proc/sys/vm/max_map_count
  {
    declare -p ROOT PATH HOME
    local name
    for name in CI STRESS COLUMNS FORCE_COLOR NO_COLOR; do [ -n "${!name:-}" ] && declare -p "$name" | sed 's/^declare -[^ ]*/export/'; done
    printf 'command=('; printf '%q ' "$@"; printf ')\n'
  } >"$job/job.sh"
  # One CPU: unpinned, every system call of the guest costs three to four times as much.
  TMPDIR=$(guest_memory_folder) timeout --foreground --kill-after=10 "$limit" taskset -c "$(last_cpu)" linux.uml mem="${GUEST_MEMORY:-3G}" \
    root=/dev/root rootfstype=hostfs rootflags=/ rw init="$ROOT/test/support/guest-init.sh" \
    con=null con0=fd:0,fd:1 quiet GUEST_JOB="$job" </dev/null 2>"$job/console" | grep --line-buffered -avE '^(SELinux:|mmapper_init|Failed to initialize ubd|sysrq: |reboot: )' || true
  status=$(cat "$job/status" 2>/dev/null || echo 70)
  if [ "$status" = 70 ]; then
    say "the guest ended without a result (time limit ${limit} s?)"
    tail -20 "$job/console" >&2
  fi
  rm -rf "$job"
  return "$status"
}

# Its memory is mapped as code too, and containers often have a /dev/shm of 64 MB that allows none.
guest_memory_folder() {
  local free
  free=$(df --output=avail -BM /dev/shm 2>/dev/null | tail -1 | tr -dc 0-9)
  if [ "${free:-0}" -ge 3072 ] && ! findmnt -no OPTIONS -T /dev/shm | grep -qw noexec; then
    echo /dev/shm
  else
    echo "${TMPDIR:-/tmp}"
  fi
}
last_cpu() { taskset -pc $$ | sed 's/.*[-,: ]//'; }

# --- the commands ------------------------------------------------------------------------------------------------------

failed=0

# Runs vitest projects and leaves their report in the cache: run_tests NAME RUNNER ARGUMENT...
run_tests() {
  local name=$1; shift
  local report=$CACHE/report-$name.json
  rm -f "$report"
  "$@" --reporter=default --reporter=json --outputFile.json="$report" || failed=1
}

check() {
  biome check --error-on-warnings . || failed=1
  tsc -p . || failed=1
  run_tests check vitest run --project unit --project properties --project scenarios --project contract
}

case "${1:-}" in
  check)
    ensure_npm_packages
    check
    exit "$failed"
    ;;
  test)
    ensure_npm_packages || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
    ensure_promtool
    check
    run_tests kernel in_kernel vitest run --project kernel
    node test/support/sum-reports.ts "$failed" "$CACHE/report-check.json" "$CACHE/report-kernel.json"
    ;;
  demo)
    ensure_npm_packages
    in_kernel node examples/demo.ts
    ;;
  bench)
    ensure_npm_packages
    shift
    case "${1:-}" in
      watch) shift; node bench/watch.ts "$@" ;;
      latency) shift; GUEST_SECONDS=${GUEST_SECONDS:-3600} in_kernel node bench/latency.ts "$@" ;;
      *) GUEST_SECONDS=${GUEST_SECONDS:-3600} in_kernel node bench/run.ts "$@" ;;
    esac
    ;;
  kernel)
    ensure_npm_packages
    shift
    in_kernel "$@"
    ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
