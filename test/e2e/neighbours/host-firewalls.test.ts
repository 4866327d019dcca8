import { ruleSetSuites } from "../../support/neighbours/rule-set-suite.ts";
import { FIREWALLD } from "../../support/neighbours/rule-sets/firewalld.ts";
import { UFW } from "../../support/neighbours/rule-sets/ufw.ts";

ruleSetSuites([UFW, FIREWALLD]);
