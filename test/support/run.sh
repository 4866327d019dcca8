#!/usr/bin/env bash
# The one entry of `npm run demo | test | test:stress | check | bench | trace`: sets up what is missing, then runs it.
#   run.sh check          lint, types and the tests that need no privilege
#   run.sh test           check, and the suites on a real IPVS kernel; the last line is "N passed, N failed, N skipped"
#   run.sh stress         the properties with all of their cases, in memory
#   run.sh demo           the shop of examples/ on a real IPVS kernel
#   run.sh bench [SIZES]  the benchmarks on a real IPVS kernel
#   run.sh bench watch    those of the watch layer, which need none
#   run.sh trace          the way of one change through the code, as a page
#   run.sh kernel CMD...  any command on a real IPVS kernel
set -euo pipefail
# A child of npm ends with npm, even when that is killed and can end nothing itself.
[ -z "${npm_lifecycle_event:-}" ] || exec env -u npm_lifecycle_event setpriv --pdeathsig TERM bash "$0" "$@"
cd "$(dirname "$0")/../.."
readonly ROOT=$PWD
readonly CACHE=$ROOT/.cache
readonly DEBIAN_PACKAGES=(iproute2 ipset iptables ipvsadm conntrack kmod curl procps perl-base util-linux)
readonly GUEST_PACKAGES=(user-mode-linux)
# What a guest may grow to, in MB: benchmarks fill it.
export GUEST_MEMORY=${GUEST_MEMORY:-$([ "${1:-}" = test ] && echo 1536 || echo 3072)}
# Set here, since a guest cannot see where its output goes.
if [ -z "${FORCE_COLOR:-}${NO_COLOR:-}" ]; then
  if [ -t 1 ]; then export FORCE_COLOR=1; else export NO_COLOR=1; fi
fi
export HOME=${HOME:-/tmp}
mkdir -p "$CACHE"

say() { printf '>> %s\n' "$*" >&2; }

# Runs a program that gets SIGTERM when this process ends, however it ends. Only as a child of this process: not in a pipeline
# or a subshell that goes on.
tied() { setpriv --pdeathsig TERM "$@"; }

# --- what must be there ------------------------------------------------------------------------------------------------

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

# promtool judges the metrics. It is unpacked, not installed: the package would start a Prometheus on this machine.
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

# --- a real IPVS kernel ------------------------------------------------------------------------------------------------

# The host's own kernel serves when we are root, it has IPVS and dummy interfaces, and namespaces may be made.
host_has_ipvs() {
  [ "$(id -u)" -eq 0 ] && [ -z "${KUBE_IPVS_GUEST:-}" ] || return 1
  modprobe -q ip_vs 2>/dev/null || [ -e /proc/net/ip_vs ] || return 1
  unshare -n -m sh -c 'ip link add kube-ipvs-try type dummy && ipvsadm -Ln && ipset list -n' >/dev/null 2>&1
}

# Installs what is missing, and chooses: fresh namespaces of the host, else User Mode Linux guests.
ensure_kernel() {
  ensure_debian_packages "${DEBIAN_PACKAGES[@]}" || return 1
  if host_has_ipvs; then
    say "real kernel: this host's, in a network namespace of its own"
    run_in_kernel=in_namespace
  else
    ensure_debian_packages "${GUEST_PACKAGES[@]}" || return 1
    say "real kernel: User Mode Linux"
    run_in_kernel=in_guest
  fi
}

# Runs a command on a real IPVS kernel.
in_kernel() {
  ensure_kernel && "$run_in_kernel" "$@"
}

in_namespace() {
  # SIGKILL, for unshare ignores SIGTERM; the kernel then ends all that is in the process namespace.
  setpriv --pdeathsig KILL unshare -n -m -p --fork --kill-child=KILL bash "$ROOT/test/support/run/namespace-init.sh" "$@"
}

in_guest() {
  local job status=0 limit
  limit=$(awk -v seconds="${GUEST_SECONDS:-1500}" -v patience="${PATIENCE:-1}" 'BEGIN { printf "%.0f", seconds * patience }')
  remove_jobs_of_the_dead
  job=$(mktemp -d "$CACHE/guest.$$.XXXXXX")
  # Its memory is a file: large guests need more mappings than Linux grants by default.
  [ -w /proc/sys/vm/max_map_count ] && echo 1048576 >/proc/sys/vm/max_map_count
  {
    declare -p ROOT PATH HOME
    local name
    for name in CI STRESS PATIENCE TEST_RECORD REQUIRE_ALL COLUMNS FORCE_COLOR NO_COLOR; do
      [ -n "${!name:-}" ] && declare -p "$name" | sed 's/^declare -[^ ]*/export/'
    done
    printf 'command=('; printf '%q ' "$@"; printf ')\n'
  } >"$job/job.sh"
  # One CPU: unpinned, every system call of the guest costs three to four times as much.
  TMPDIR=$(guest_memory_folder) setpriv --pdeathsig TERM timeout --foreground --kill-after=10 "$limit" \
    setpriv --pdeathsig TERM taskset -c "$(allowed_cpus | tail -1)" \
    linux.uml mem="${GUEST_MEMORY}M" \
    root=/dev/root rootfstype=hostfs rootflags=/ rw init="$ROOT/test/support/run/guest-init.sh" \
    con=null con0=fd:0,fd:1 quiet GUEST_JOB="$job" </dev/null 2>"$job/console" | grep --line-buffered -avE '^(SELinux:|mmapper_init|Failed to initialize ubd|sysrq: |reboot: )' || true
  # SIGTERM ends all of its processes; SIGKILL, when it did not heed that, only the first.
  pkill -KILL -f -- "GUEST_JOB=$job" || true
  status=$(cat "$job/status" 2>/dev/null || echo 70)
  if [ "$status" = 70 ]; then
    say "the guest ended without a result (time limit ${limit} s?)"
    tail -20 "$job/console" >&2
  fi
  rm -rf "$job"
  return "$status"
}

# Those whose run was killed; their names begin with its process.
remove_jobs_of_the_dead() {
  local folder process
  for folder in "$CACHE"/guest.*.*; do
    process=${folder##*/guest.}
    [ ! -d "$folder" ] || kill -0 "${process%%.*}" 2>/dev/null || rm -rf "$folder"
  done
}

# Its memory is mapped as code too, and containers often have a /dev/shm of 64 MB that allows none.
guest_memory_folder() {
  if [ "$(free_megabytes /dev/shm)" -ge "$GUEST_MEMORY" ] && ! findmnt -no OPTIONS -T /dev/shm | grep -qw noexec; then
    echo /dev/shm
  else
    echo "${TMPDIR:-/tmp}"
  fi
}
free_megabytes() { df --output=avail -BM "$1" 2>/dev/null | tail -1 | tr -dc 0-9 | grep . || echo 0; }

# One a line.
allowed_cpus() {
  local range
  for range in $(taskset -pc "$BASHPID" | sed 's/.*: //; s/,/ /g'); do seq "${range%-*}" "${range#*-}"; done
}

# --- the commands ------------------------------------------------------------------------------------------------------

failed=0

check() {
  tied biome check --error-on-warnings . || failed=1
  tied tsc -p . || failed=1
  TEST_RECORD=$CACHE/results-check.jsonl tied vitest run \
    --project unit --project properties --project scenarios --project contract || failed=1
}

# The tests of this script.
run_suite() {
  TEST_RECORD=$CACHE/results-run.jsonl tied vitest run --project run || failed=1
}

# Sets PATIENCE, by which every limit of time is multiplied, unless it is given: set_patience [in_guest|in_namespace]
set_patience() {
  local measured=given
  if [ -z "${PATIENCE:-}" ]; then
    measured=$(TMPDIR=$(guest_memory_folder) tied node test/support/run/calibrate.ts "${1:-}") || measured="4 nothing measured"
    PATIENCE=${measured%% *}
    measured=${measured#* }
  fi
  export PATIENCE
  say "patience $PATIENCE ($measured)"
}

# How many guests may run suites side by side: for each a CPU and memory, at most four. The host's kernel serves one, since
# suites load modules and see which are loaded.
shard_count() {
  [ "$run_in_kernel" = in_guest ] || { echo 1; return; }
  local most room
  most=$(node -p 'Math.min(4, os.availableParallelism())')
  room=$(($(free_megabytes "$(guest_memory_folder)") / GUEST_MEMORY))
  [ "$room" -lt "$most" ] && most=$room
  echo $((most > 1 ? most : 1))
}

# The suites on a real kernel, dealt out to several. Each line of theirs is printed behind the number of its shard; what a
# failed shard has said is said again, in one piece.
kernel_suites() {
  local count shard cpus pids=() outputs=() broken=() output
  count=$(shard_count)
  mapfile -t cpus < <(allowed_cpus)
  for ((shard = 1; shard <= count; shard++)); do
    # No pipeline: the shard must be a child of this process to end with it.
    exec {output}> >(exec sed -u -e "w $CACHE/kernel-$shard.log" -e "s|^|[$shard/$count] |")
    outputs+=("$!")
    TEST_RECORD=$CACHE/results-kernel-$shard.jsonl tied taskset -c "${cpus[-shard]}" bash "$ROOT/test/support/run.sh" \
      kernel vitest run --project kernel --shard="$shard/$count" </dev/null >&"$output" 2>&1 &
    pids+=($!)
    exec {output}>&-
  done
  for ((shard = 1; shard <= count; shard++)); do
    wait "${pids[shard - 1]}" || broken+=("$shard")
    wait "${outputs[shard - 1]}" || true
  done
  for shard in "${broken[@]}"; do
    failed=1
    say "shard $shard of $count on a real kernel failed:"
    cat "$CACHE/kernel-$shard.log"
  done
}

case "${1:-}" in
  check)
    ensure_npm_packages
    set_patience
    check
    exit "$failed"
    ;;
  test)
    ensure_npm_packages || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
    ensure_promtool
    export REQUIRE_ALL=1
    rm -f "$CACHE"/results-*.jsonl
    run_in_kernel=
    ensure_kernel || failed=1
    set_patience "$run_in_kernel"
    check
    [ -z "$run_in_kernel" ] || { run_suite; kernel_suites; }
    node test/support/run/sum-results.ts "$failed" "$CACHE"/results-*.jsonl
    ;;
  stress)
    ensure_npm_packages
    set_patience
    STRESS=20 tied vitest run --project properties
    ;;
  demo)
    ensure_npm_packages
    set_patience
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
  trace)
    ensure_npm_packages
    node bench/trace.ts || failed=1
    biome format --write docs/trace.md >/dev/null
    exit "$failed"
    ;;
  kernel)
    ensure_npm_packages
    [ -n "${PATIENCE:-}" ] || set_patience
    shift
    in_kernel "$@"
    ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
