/** The exit code of a report on several subjects, some of which failed without taking the others with them. */
import { ERROR_CODES, EXIT, type ExitCode } from '../core/errors.ts';
import type { Report } from '../core/report.ts';

/**
 * 130 for a report that was cut short by the user. Else, a subject that could not be handled is a finding under the name
 * of its error: the first says how the process ends. Without one: 1 when the report is not ok.
 */
export const exitCodeOfFindings = ({
  ok,
  findings,
  data,
}: Report<string, { readonly interrupted?: boolean }>): ExitCode => {
  if (data.interrupted === true) return EXIT.interrupted;
  const failed = findings.find(({ level, rule }) => level === 'error' && rule in ERROR_CODES);
  if (failed !== undefined) return ERROR_CODES[failed.rule as keyof typeof ERROR_CODES].exit;
  return ok ? EXIT.ok : EXIT.checkFailed;
};
