#!/usr/bin/env bash
# The one entry of `npm run demo | test | test:kernels | test:stress | test:browser | check | image | bench | trace`: sets up what is missing, then runs it.
#   run.sh check          lint, types and the tests that need no privilege
#   run.sh test           check, and the suites on a real IPVS kernel; the last line is "N passed, N failed, N skipped"
#   run.sh kernels [--write] [--all] [--kernel NAME] [--suite SUITE]   the suites on real kernels alone, and their table;
#                         --all also those that `npm test` leaves out; --write puts the table into test/README.md
#   run.sh stress         the properties with all of their cases, in memory
#   run.sh browser        the status page in headless Chromium
#   run.sh demo           the shop of examples/ on a real IPVS kernel
#   run.sh image          builds the image for this machine and for arm64 without Docker, and looks into both
#   run.sh bench ...      the benchmarks, most of them on a real IPVS kernel; run.sh bench --help
#   run.sh trace          the way of one change through the code, as a page
#   run.sh kernel CMD...  any command on a real IPVS kernel; KUBE_IPVS_KERNEL=qemu-6.12 picks one of test/support/run/kernels.ts
set -euo pipefail
# A child of npm ends with npm, even when that is killed and can end nothing itself.
[ -z "${npm_lifecycle_event:-}" ] || exec env -u npm_lifecycle_event setpriv --pdeathsig TERM bash "$0" "$@"
cd "$(dirname "$0")/../.."
readonly ROOT=$PWD
readonly CACHE=$ROOT/.cache
readonly DEBIAN_PACKAGES=(iproute2 ipset iptables nftables ipvsadm conntrack kmod curl procps perl-base util-linux)
# Neighbours of the agent in test/e2e/neighbours. Without a configuration in /etc none of them starts on this machine.
readonly NEIGHBOUR_PACKAGES=(keepalived)
# What a guest may grow to, in MB: benchmarks fill it.
export GUEST_MEMORY=${GUEST_MEMORY:-$([[ ${1:-} = test || ${1:-} = kernels ]] && echo 1536 || echo 3072)}
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
. test/support/run/pool/pool.sh

# --- the commands ------------------------------------------------------------------------------------------------------

failed=0

check() {
  tied biome check --error-on-warnings . || failed=1
  tied tsc -p . || failed=1
  tied tsc -p src/ui || failed=1
  TEST_RECORD=$CACHE/results-check.jsonl tied vitest run \
    --project unit --project properties --project scenarios --project contract || failed=1
}

# The tests of this script.
run_suite() {
  TEST_RECORD=$CACHE/results-run.jsonl tied vitest run --project run || failed=1
}

# The image, from which a suite on a real kernel runs the containers of the DaemonSet.
build_image() {
  ensure_debian_packages binutils buildah crun xz-utils zstd || { failed=1; return; }
  { tied node build.ts && tied bash packaging/image/build.sh "$CACHE/image"; } || failed=1
}

# What is in the image, and in the one for arm64.
image_suite() {
  build_image
  ensure_debian_packages qemu-user-static || failed=1
  tied bash packaging/image/build.sh "$CACHE/image-arm64" arm64 || failed=1
  TEST_RECORD=$CACHE/results-image.jsonl tied vitest run --project image || failed=1
}

# The status page, as a browser shows it.
browser_suite() {
  ensure_debian_packages chromium || { failed=1; return; }
  TEST_RECORD=$CACHE/results-browser.jsonl tied vitest run --project browser || failed=1
}

# Sets PATIENCE, by which every limit of time is multiplied, unless it is given: set_patience [in_guest|in_namespace [GUESTS]],
# where GUESTS is how many will share a CPU.
set_patience() {
  local measured=given
  if [ -z "${PATIENCE:-}" ]; then
    measured=$(TMPDIR=$(guest_memory_folder) tied node test/support/run/calibrate.ts "${1:-}") || measured="4 nothing measured"
    PATIENCE=$((${measured%% *} * ${2:-1}))
    measured=${measured#* }
  fi
  export PATIENCE
  say "patience $PATIENCE ($measured)"
}

# What the suites need, before any of them: prepare_suites ARGUMENTS of list-jobs.ts
prepare_suites() {
  unset KUBE_IPVS_KERNEL
  ensure_promtool
  export REQUIRE_ALL=1
  rm -f "$CACHE"/results-*.jsonl
  run_in_kernel=
  ensure_kernel || failed=1
  ensure_debian_packages "${NEIGHBOUR_PACKAGES[@]}" || failed=1
  plan_jobs "$@" || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
  set_patience "$run_in_kernel" "$(guests_per_cpu)"
}

# The closing line: sum_results ARGUMENTS of sum-results.ts, after the folder
sum_results() {
  local other=()
  [ "$failed" = 0 ] || other=(--failed)
  node test/support/run/results/sum-results.ts "${other[@]}" "$CACHE" "$@"
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
    prepare_suites
    check
    image_suite
    browser_suite
    [ -z "$run_in_kernel" ] || { run_suite; run_jobs; }
    sum_results "$CACHE"/results-check.jsonl "$CACHE"/results-image.jsonl "$CACHE"/results-browser.jsonl "$CACHE"/results-run.jsonl
    ;;
  kernels)
    shift
    write=()
    if [ "${1:-}" = --write ]; then write=(--write); shift; fi
    ensure_npm_packages || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }
    prepare_suites "$@"
    [ -z "$run_in_kernel" ] || { build_image; run_jobs; }
    sum_results "${write[@]}"
    ;;
  stress)
    ensure_npm_packages
    set_patience
    STRESS=20 tied vitest run --project properties
    ;;
  image)
    ensure_npm_packages
    set_patience
    image_suite
    exit "$failed"
    ;;
  browser)
    ensure_npm_packages
    set_patience
    browser_suite
    exit "$failed"
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
    tied node bench/cli/main.ts "$@"
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
    ensure_debian_packages "${NEIGHBOUR_PACKAGES[@]}"
    [ -n "${PATIENCE:-}" ] || set_patience "$run_in_kernel"
    "$run_in_kernel" "$@"
    ;;
  *)
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 64
    ;;
esac
