# Sourced by run.sh: chooses a real IPVS kernel and runs commands on it.

# The host's own kernel serves when we are root, it has IPVS and dummy interfaces, and namespaces may be made.
host_has_ipvs() {
  [ "$(id -u)" -eq 0 ] && [ -z "${KUBE_IPVS_GUEST:-}" ] || return 1
  modprobe -q ip_vs 2>/dev/null || [ -e /proc/net/ip_vs ] || return 1
  unshare -n -m sh -c 'ip link add kube-ipvs-try type dummy && ipvsadm -Ln && ipset list -n' >/dev/null 2>&1
}

# Installs what is missing, and chooses: the kernel that KUBE_IPVS_KERNEL names (kernels.ts), else fresh namespaces of the
# host, else a guest of User Mode Linux. Sets run_in_kernel to the function that runs a command there.
ensure_kernel() {
  ensure_debian_packages "${DEBIAN_PACKAGES[@]}" || return 1
  if [ -n "${KUBE_IPVS_KERNEL:-}" ]; then
    ensure_named_kernel "$KUBE_IPVS_KERNEL" || { say "kernel $KUBE_IPVS_KERNEL cannot be had"; return 1; }
  elif host_has_ipvs; then
    say "real kernel: this host's, in a network namespace of its own"
    run_in_kernel=in_namespace
  else
    ensure_uml_package || return 1
    say "real kernel: User Mode Linux"
    run_in_kernel=in_guest
  fi
}

ensure_named_kernel() {
  local source machine version suite iptables backend folder
  source=$(node test/support/run/kernel-source.ts "$1") || return 1
  read -r machine version suite iptables backend <<<"$source"
  "ensure_${machine}_kernel" "$version" "$suite" || return 1
  say "real kernel: $machine $version"
  export GUEST_IPTABLES=$backend
  [ "$iptables" != - ] || return 0
  folder=$CACHE/kernels/iptables-$iptables
  bash "$ROOT/test/support/run/iptables.sh" "$iptables" "$folder" 2>"$folder.log" || { cat "$folder.log" >&2; return 1; }
  # Their extensions are found by this variable.
  export XTABLES_LIBDIR=$folder/xtables PATH=$folder/usr/sbin:$PATH
  say "$("iptables-$backend" --version)"
}

# Runs a command on a real IPVS kernel.
in_kernel() {
  ensure_kernel && "$run_in_kernel" "$@"
}

in_namespace() {
  # SIGKILL, for unshare ignores SIGTERM; the kernel then ends all that is in the process namespace.
  setpriv --pdeathsig KILL unshare -n -m -p --fork --kill-child=KILL bash "$ROOT/test/support/run/namespace-init.sh" "$@"
}
