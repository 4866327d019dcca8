# Sourced by run.sh: Debian's cloud kernels, which nodes have, as guests of QEMU. With iptables-nft, modules that load by
# themselves and, with GUEST_CPUS, more than one CPU, all of which User Mode Linux has not.
# The guest's root is this machine's file system; what it writes is gone afterwards, but for $CACHE. Its network is lo alone.
# GUEST_CPUS is 1 by default.

# The folder of the kernel that in_qemu boots.
qemu_kernel=

# Chooses Debian's cloud kernel of that version, which is fetched and not installed: VERSION SUITE
ensure_qemu_kernel() {
  local folder=$CACHE/kernels/qemu-$1 found
  if [ "$(id -u)" -ne 0 ]; then
    say "a guest of QEMU needs root, since it is given all files of this machine"
    return 1
  fi
  ensure_debian_packages qemu-system-x86 qemu-system-common busybox-static kmod || return 1
  # Two runs may need the same kernel.
  flock "$CACHE/kernels" bash "$ROOT/test/support/run/qemu/fetch.sh" "$2" "$folder" >"$folder.log" 2>&1 ||
    { tail -20 "$folder.log" >&2; return 1; }
  found=$(ls "$folder/lib/modules")
  [[ $found = "$1".* ]] || say "the cloud kernel of Debian $2 is $found now, not $1 (test/support/run/kernels.ts)"
  qemu_kernel=$folder
  run_in_kernel=in_qemu
}

in_qemu() {
  local job status limit
  remove_jobs_of_the_dead
  job=$(mktemp -d "$CACHE/guest.$$.XXXXXX")
  {
    declare -p ROOT PATH HOME
    local name
    for name in CI STRESS PATIENCE TEST_RECORD REQUIRE_ALL COLUMNS FORCE_COLOR NO_COLOR XTABLES_LIBDIR GUEST_IPTABLES; do
      [ -n "${!name:-}" ] && declare -p "$name" | sed 's/^declare -[^ ]*/export/'
    done
    printf 'command=('; printf '%q ' "$@"; printf ')\n'
  } >"$job/job.sh"
  limit=$(awk -v seconds="${GUEST_SECONDS:-1500}" -v patience="${PATIENCE:-1}" 'BEGIN { printf "%.0f", seconds * patience }')
  # A process namespace, so that the kernel ends the guest and what serves it files with the run. SIGKILL, for unshare ignores
  # SIGTERM.
  setpriv --pdeathsig KILL timeout --foreground -s KILL "$limit" \
    setpriv --pdeathsig KILL unshare -m -p --fork --kill-child=KILL \
    bash "$ROOT/test/support/run/qemu/machine.sh" "$job" "$CACHE" "$qemu_kernel" "$GUEST_MEMORY" "${GUEST_CPUS:-1}" || true
  status=$(cat "$job/status" 2>/dev/null || echo 70)
  if [ "$status" = 70 ]; then
    say "the guest ended without a result (time limit ${limit} s?)"
    tail -20 "$job"/{console,qemu.log,files-root.log,files-shared.log} 2>/dev/null >&2
  fi
  rm -rf "$job"
  return "$status"
}

