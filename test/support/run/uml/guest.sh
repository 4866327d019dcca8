# Sourced by run.sh: runs commands in guests of User Mode Linux.

# The program and the folder of modules of the kernel that in_guest boots.
uml_program=linux.uml
uml_modules=/usr/lib/uml/modules

ensure_uml_package() { ensure_debian_packages user-mode-linux; }

# Chooses the User Mode Linux of that version: the installed one where it is that, else it is fetched: VERSION SUITE
ensure_uml_kernel() {
  local folder=$CACHE/kernels/uml-$1 found
  if [[ $(linux.uml --version 2>/dev/null) != "$1".* ]]; then
    bash "$ROOT/test/support/run/uml/uml-kernel.sh" "$2" "$folder" 2>"$folder.log" || { cat "$folder.log" >&2; return 1; }
    uml_program=$folder/usr/bin/linux.uml
    uml_modules=$folder/usr/lib/uml/modules
    found=$("$uml_program" --version)
    [[ $found = "$1".* ]] || say "the User Mode Linux of Debian $2 is $found now, not $1 (test/support/run/kernels.ts)"
  fi
  run_in_kernel=in_guest
}

in_guest() {
  local job status=0 limit
  limit=$(awk -v seconds="${GUEST_SECONDS:-1500}" -v patience="${PATIENCE:-1}" 'BEGIN { printf "%.0f", seconds * patience }')
  remove_jobs_of_the_dead
  job=$(mktemp -d "$CACHE/guest.$$.XXXXXX")
  # Its memory is a file: large guests need more mappings than Linux grants by default.
  [ -w /proc/sys/vm/max_map_count ] && echo 1048576 >/proc/sys/vm/max_map_count
  {
    declare -p ROOT PATH HOME uml_modules
    local name
    for name in CI STRESS PATIENCE TEST_RECORD REQUIRE_ALL COLUMNS FORCE_COLOR NO_COLOR XTABLES_LIBDIR; do
      [ -n "${!name:-}" ] && declare -p "$name" | sed 's/^declare -[^ ]*/export/'
    done
    printf 'command=('; printf '%q ' "$@"; printf ')\n'
  } >"$job/job.sh"
  # One CPU: unpinned, every system call of the guest costs three to four times as much.
  TMPDIR=$(guest_memory_folder) setpriv --pdeathsig TERM timeout --foreground --kill-after=10 "$limit" \
    setpriv --pdeathsig TERM taskset -c "$(allowed_cpus | tail -1)" \
    "$uml_program" mem="${GUEST_MEMORY}M" \
    root=/dev/root rootfstype=hostfs rootflags=/ rw init="$ROOT/test/support/run/uml/guest-init.sh" \
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
