/** What a report format is: a function from any report to text. */
import type { Report } from '../core/report.ts';

export interface RenderOptions {
  /** Use ANSI colours. */
  readonly color: boolean;
  /** Show every row of long tables. */
  readonly all: boolean;
}

export interface Renderer {
  readonly name: string;
  /** File extension, without the dot. */
  readonly extension: string;
  /** The whole text, ending with a newline. */
  render(report: Report, options: RenderOptions): string;
}
