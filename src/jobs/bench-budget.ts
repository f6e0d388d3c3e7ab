/** The time that a benchmark may take: hands out shares of what is left, by weight. */
export class BenchBudget {
  readonly #end: number;
  #weight: number;

  constructor(ms: number, weight: number) {
    this.#end = performance.now() + ms;
    this.#weight = weight;
  }

  /** Milliseconds for a phase of this weight; 0 when nothing is left. */
  take(weight: number): number {
    const share = Math.max(0, this.#end - performance.now()) * Math.min(1, weight / this.#weight);
    this.#weight = Math.max(weight, this.#weight - weight);
    return share;
  }
}
