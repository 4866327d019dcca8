/**
 * Figures of kube-proxy 1.36, which no package manager of this project installs: measured once, by hand. A run with
 * `--peer 'kube-proxy --config FILE'` has figures of its own.
 */
export const RECORDED: readonly (readonly [what: string, where: string, value: string])[] = [
  ["kube-proxy 1.36 ipvs, 5,000 x 10: all programmed (its sets filled beforehand)", "User Mode Linux", "23.8 s"],
  ["kube-proxy 1.36 ipvs, 5,000 x 10: one change, p50", "User Mode Linux", "5.5 s"],
  ["kube-proxy 1.36 ipvs, 5,000 x 10: CPU for each change", "User Mode Linux", "5.1 s"],
  ["kube-proxy 1.36 ipvs, 1,000 x 10: first Service", "QEMU 6.12, iptables-nft", "2.4 s"],
  ["kube-proxy 1.36 ipvs, 1,000 x 10: all programmed", "QEMU 6.12, iptables-nft", "9.5 s"],
  ["kube-proxy 1.36 ipvs, 1,000 x 10: one change, p50", "QEMU 6.12, iptables-nft", "2,081 ms"],
  ["kube-proxy 1.36 nftables, 1,000 x 10: one change, mean", "QEMU 6.12, iptables-nft", "1,950 ms"],
];
