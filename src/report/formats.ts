/** The names of all report formats, those that have no renderer yet included: they are refused by name, with exit 4. */
export const REPORT_FORMATS = ['text', 'json', 'md', 'html', 'junit', 'github', 'sarif'] as const;
export type ReportFormat = (typeof REPORT_FORMATS)[number];
