/**
 * Which layers hurt: each weighted node is kept in float alone, then the most rewarding ones together, and the quality
 * is measured again on a few samples. The answer to "what shall I exclude?" is measured, not guessed.
 */

/** Layers tried one by one; a deeper net is tried from its input on, where the errors that grow are made. */
const MOST_LAYERS = 40;

/** Sizes of the groups of best layers that are tried together. */
const GROUPS = [1, 2, 4, 8];

export interface Sensitivity {
  /** Layers to keep in float, the most rewarding first. */
  readonly nodes: readonly string[];
  /** The quality with all of them in float, in dB. */
  readonly quality: number;
}

/**
 * @param layers names of the quantised layers, in graph order
 * @param measure quality in dB (the lowest over the outputs) with these layers in float
 * @param bar the quality to reach
 * @returns the smallest tried group that reaches the bar, else the best group; undefined when nothing helps
 */
export const findSensitive = async (
  layers: readonly string[],
  measure: (floats: ReadonlySet<string>) => Promise<number>,
  bar: number,
  onTry: (done: number, of: number) => void = () => {},
): Promise<Sensitivity | undefined> => {
  const tried = layers.slice(0, MOST_LAYERS);
  const base = await measure(new Set());
  const alone: { node: string; quality: number }[] = [];
  for (const [i, node] of tried.entries()) {
    alone.push({ node, quality: await measure(new Set([node])) });
    onTry(i + 1, tried.length);
  }
  const ranked = alone.filter(({ quality }) => quality > base).sort((a, b) => b.quality - a.quality);
  let best: Sensitivity | undefined;
  for (const size of GROUPS) {
    if (size > 1 && ranked.length < size) break;
    const nodes = ranked.slice(0, size).map(({ node }) => node);
    if (nodes.length === 0) return undefined;
    const quality = await measure(new Set(nodes));
    if (best === undefined || quality > best.quality) best = { nodes, quality };
    if (quality >= bar) return { nodes, quality };
  }
  return best;
};
