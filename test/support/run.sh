#!/usr/bin/env bash
# The one entry of `npm run demo | test | test:stress | check | bench | trace`: sets up what is missing, then runs it.
#   run.sh check          lint, types and the tests that need no privilege
#   run.sh test           check, and the suites on a real IPVS kernel; the last line is "N passed, N failed, N skipped"
#   run.sh stress         the properties with all of their cases, in memory
#   run.sh demo           the shop of examples/ on a real IPVS kernel
#   run.sh bench [SIZES]  the benchmarks on a real IPVS kernel
#   run.sh bench watch    those of the watch layer, which need none
#   run.sh trace          the way of one change through the code, as a page
#   run.sh kernel CMD...  any command on a real IPVS kernel; KUBE_IPVS_KERNEL=qemu-6.12 picks one of test/support/run/kernels.ts
set -euo pipefail
# A child of npm ends with npm, even when that is killed and can end nothing itself.
[ -z "${npm_lifecycle_event:-}" ] || exec env -u npm_lifecycle_event setpriv --pdeathsig TERM bash "$0" "$@"
cd "$(dirname "$0")/../.."
readonly ROOT=$PWD
readonly CACHE=$ROOT/.cache
readonly DEBIAN_PACKAGES=(iproute2 ipset iptables ipvsadm conntrack kmod curl procps perl-base util-linux)
# What a guest may grow to, in MB: benchmarks fill it.
export GUEST_MEMORY=${GUEST_MEMORY:-$([ "${1:-}" = test ] && echo 1536 || echo 3072)}
# Set here, since a guest cannot see where its output goes.
if [ -z "${FORCE_COLOR:-}${NO_COLOR:-}" ]; then
  if [ -t 1 ]; then export FORCE_COLOR=1; else export NO_COLOR=1; fi
fi
export HOME=${HOME:-/tmp}
mkdir -p "$CACHE/kernels"

say() { printf '>> %s\n' "$*" >&2; }

# Runs a program that gets SIGTERM when this process ends, however it ends. Only as a child of this process: not in a pipeline
# or a subshell that goes on.
tied() { setpriv --pdeathsig TERM "$@"; }

. test/support/run/packages.sh
. test/support/run/kernel.sh
. test/support/run/uml/guest.sh
. test/support/run/qemu/guest.sh

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
    node test/support/run/results/sum-results.ts "$failed" "$CACHE"/results-*.jsonl
    ;;
  stress)
    ensure_npm_packages
    set_patience
    STRESS=20 tied vitest run --project properties
    ;;
  demo)
    ensure_npm_packages
    ensure_kernel
    set_patience "$run_in_kernel"
    "$run_in_kernel" node examples/demo.ts
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
    shift
    ensure_kernel
    [ -n "${PATIENCE:-}" ] || set_patience "$run_in_kernel"
    "$run_in_kernel" "$@"
    ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
