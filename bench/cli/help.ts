import { KERNELS } from "../../test/support/run/kernels.ts";
import { SIZE_FORM } from "../report/size.ts";

/** What `npm run bench -- --help` prints. */
export const HELP = `Benchmarks of kube-ipvs and of programs to compare it with, on a real IPVS kernel.

  npm run bench [-- SIZES]               measures, into a folder of this run
  npm run bench -- publish FOLDER        makes a run the published one: bench/results/ and the tables of the READMEs
  npm run bench -- compare OLD NEW       compares two runs, figure by figure; exits with 1 if one is worse
  npm run bench -- watch [SIZES]         the watch layer compared with client-node's informers (no kernel)
  npm run bench -- sentinels             what it costs to look each second whether IPVS was flushed
  npm run bench -- traffic [SIZES]       what a scrape of the traffic of Services costs
  npm run bench -- turns                 for how long such a scrape keeps the event loop (no kernel)

SIZES are ${SIZE_FORM}, comma-separated.

  --quick              100x10 and 1000x10, one round, idle and churn for 10 seconds
  --scenarios LIST     some of: sync (one process, from objects in memory to the kernel, with resyncs and the floors);
                       the whole program with an API server: cold, idle, change, service, rolling, churn, drain, restart,
                       takeover; keepalived; memory (100,000 Services, kernel in memory)
  --peer COMMAND       measures another proxy too; {kubeconfig} in COMMAND, or the environment variable KUBECONFIG, is the
                       kubeconfig of the benchmark's API server. May be repeated. NAME=COMMAND gives it a name.
                         --peer 'kube-proxy=kube-proxy --config FILE'   (ipvs, iptables or nftables mode)
                         --peer 'kube-router --run-service-proxy --run-router=false --run-firewall=false --kubeconfig={kubeconfig}'
  --kernel NAME        ${KERNELS.map(({ name }) => name).join(", ")}, or host (root, in namespaces).
                       Without it: User Mode Linux
  --rounds N           rounds of a cold start (3); --seconds N: how long idle and churn last (60)
  --churn-limit N      most changes a second in churn (200)
  --noisy              goes on although other programs use the machine; the results say so
  --out FOLDER         instead of .cache/bench/DATE

Exit codes: 0 measured; 1 something could not be measured, or a figure is worse; 64 wrong arguments; 75 the machine is noisy.
`;
