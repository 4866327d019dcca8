# Sourced by run.sh: runs the suites on all real kernels, as many guests side by side as the machine has room for.

# The file that lists the jobs of this run, one a line: KERNEL SECONDS FILE...
readonly JOBS=$CACHE/jobs.txt
# The numbers of those that the time of this run did not allow, one a line.
readonly LEFT_OUT=$CACHE/left-out.txt

# How many guests run side by side: one for each CPU and at most eight, if there is memory for them; TEST_GUESTS sets another
# number. A guest waits a third of its time, but guests that take turns on a CPU make each other's system calls dearer: three on two
# CPUs ended later than two, and with 15 busy processes on a CPU a system call takes 140 us of CPU time instead of 15.
slot_count() {
  local most room
  most=${TEST_GUESTS:-$(allowed_cpus | wc -l)}
  room=$(($(free_megabytes "$(guest_memory_folder)") / GUEST_MEMORY))
  [ "$room" -lt "$most" ] && most=$room
  echo $((most > 8 ? 8 : most > 1 ? most : 1))
}

guests_per_cpu() {
  local cpus
  cpus=$(allowed_cpus | wc -l)
  echo $((($(slot_count) + cpus - 1) / cpus))
}

# Lists the jobs and fetches their kernels: plan_jobs ARGUMENTS of list-jobs.ts
plan_jobs() {
  local kernel own=()
  rm -f "$CACHE"/results-kernel-*.jsonl "$LEFT_OUT"
  [ "$run_in_kernel" = in_namespace ] && own=(--host)
  node test/support/run/pool/list-jobs.ts "${own[@]}" "$@" >"$JOBS" || return 1
  unavailable=" "
  for kernel in $(cut -d' ' -f1 "$JOBS" | sort -u); do
    # In a subshell: what it chooses is for the jobs of that kernel.
    [ "$kernel" = host ] || (KUBE_IPVS_KERNEL=$kernel && ensure_kernel) || unavailable+="$kernel "
  done
}

# Runs the jobs. Each line of theirs is printed behind the number and the kernel of the job; what a failed job has printed is
# printed again, in one piece.
run_jobs() {
  local slots count number=0 kernel seconds files slowness=100 broken=()
  local -A number_of=() output_of=() cpu_of=() busy=() began_of=() seconds_of=()
  slots=$(slot_count)
  count=$(wc -l <"$JOBS")
  say "suites on real kernels: $count jobs, $slots side by side"
  while read -r kernel seconds files <&3; do
    number=$((number + 1))
    if [[ $unavailable = *" $kernel "* ]]; then failed=1; continue; fi
    while [ ${#number_of[@]} -ge "$slots" ]; do end_job; done
    if has_time_for "$seconds"; then start_job; else leave_out; fi
  done 3<"$JOBS"
  while [ ${#number_of[@]} -gt 0 ]; do end_job; done
  for number in "${broken[@]}"; do
    failed=1
    say "job $number/$count failed:"
    cat "$CACHE/kernel-$number.log"
  done
}

# Whether a job of so many seconds on a quiet machine will end within TEST_MINUTES of the start of run.sh; without TEST_MINUTES
# it always has time. The slowness of this machine, in percent, is that of the slowest job so far.
has_time_for() {
  [ -z "${TEST_MINUTES:-}" ] || [ $((SECONDS + $1 * slowness / 100)) -lt $((TEST_MINUTES * 60)) ]
}

# The part of run_jobs that does not start one.
leave_out() {
  echo "$number" >>"$LEFT_OUT"
  say "job $number/$count is left out: $TEST_MINUTES minutes do not suffice for $files on kernel $kernel"
}

# The part of run_jobs that starts one, on the CPU that has the fewest.
start_job() {
  local cpu least= output pid chosen=$kernel
  for cpu in $(allowed_cpus); do
    [ -n "$least" ] && [ "${busy[$cpu]:-0}" -ge "${busy[$least]:-0}" ] || least=$cpu
  done
  [ "$kernel" != host ] || chosen=
  # Neither a pipeline nor the function `tied`: the job must be a child of this process, not of a subshell, to end with it.
  exec {output}> >(exec sed -u -e "w $CACHE/kernel-$number.log" -e "s|^|[$number/$count $kernel] |")
  output_of[$number]=$!
  # shellcheck disable=SC2086 # the names of test files have no spaces
  KUBE_IPVS_KERNEL=$chosen TEST_RECORD=$CACHE/results-kernel-$number.jsonl setpriv --pdeathsig TERM taskset -c "$least" \
    bash "$ROOT/test/support/run.sh" kernel vitest run --project kernel $files </dev/null >&"$output" 2>&1 3<&- &
  pid=$!
  exec {output}>&-
  number_of[$pid]=$number
  began_of[$pid]=$SECONDS
  seconds_of[$pid]=$seconds
  cpu_of[$pid]=$least
  busy[$least]=$((${busy[$least]:-0} + 1))
}

# The part of run_jobs that waits until one ends. Not by `wait -n`, which before Bash 5.3 misses those that ended before it.
end_job() {
  local pid number took ended=
  until [ -n "$ended" ]; do
    for pid in "${!number_of[@]}"; do kill -0 "$pid" 2>/dev/null || ended=$pid; done
    [ -n "$ended" ] || sleep 0.2
  done
  number=${number_of[$ended]}
  wait "$ended" || broken+=("$number")
  wait "${output_of[$number]}" || true
  busy[${cpu_of[$ended]}]=$((busy[${cpu_of[$ended]}] - 1))
  took=$(((SECONDS - began_of[$ended]) * 100 / (seconds_of[$ended] + 1)))
  [ "$took" -le "$slowness" ] || slowness=$took
  unset "number_of[$ended]" "cpu_of[$ended]"
}
