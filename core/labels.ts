/** Which labels a cloud takes (domain.md §1.3.6). Pure. */
import { SkyError } from "./errors.ts";
import { plainTable } from "./table.ts";

interface Rule {
  readonly key: RegExp;
  readonly value: RegExp;
}

const KUBERNETES: Rule = {
  key: /^(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\/)?[a-z0-9](?:[-a-z0-9_.]{0,61}[a-z0-9])?$/,
  value: /^(?:[a-zA-Z0-9](?:[-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?)?$/,
};
const RULES: Readonly<Record<string, Rule>> = {
  kubernetes: KUBERNETES,
  ssh: KUBERNETES,
  aws: { key: /^(?!aws:)[\S]{1,127}$/, value: /^[\S]{0,255}$/ },
  gcp: { key: /^[a-z](?:[a-z0-9_-]{0,62})?$/, value: /^[a-z0-9_-]{0,63}$/ },
};

/** Throws invalid_argument with a table of the labels that the cloud would refuse. */
export function checkLabels(labels: Readonly<Record<string, string>>, cloud: string): void {
  const rule = RULES[cloud];
  if (rule === undefined) return;
  const bad = Object.entries(labels).flatMap(([key, value]) => {
    if (!rule.key.test(key)) {
      return [[`${key}: ${value}`, `Invalid label key for ${cloud}: it must match ${rule.key.source}`]];
    }
    if (rule.value.test(value)) return [];
    return [[`${key}: ${value}`, `Invalid label value for ${cloud}: it must match ${rule.value.source}`]];
  });
  if (bad.length === 0) return;
  throw new SkyError(
    "invalid_argument",
    `The following labels are invalid:\n${plainTable(["Label", "Reason"], bad)}`,
  );
}
