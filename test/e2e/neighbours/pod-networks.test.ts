import { ruleSetSuites } from "../../support/neighbours/rule-set-suite.ts";
import { CALICO } from "../../support/neighbours/rule-sets/calico.ts";
import { CILIUM } from "../../support/neighbours/rule-sets/cilium.ts";
import { DOCKER } from "../../support/neighbours/rule-sets/docker.ts";
import { FLANNEL } from "../../support/neighbours/rule-sets/flannel.ts";

// Docker makes pod c a container, which is no pod any more.
ruleSetSuites([FLANNEL, CALICO, CILIUM, DOCKER]);
