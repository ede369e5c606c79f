import { MetricError } from '../../lib/errors';

export interface ConnectedComponents {
  /** 0 for background, 1.. for the component of each pixel. [height, width] */
  readonly labels: Uint32Array;
  /** Pixels of component `label` at `label - 1`; components are numbered in the order of their first pixel. */
  readonly areas: Uint32Array;
}

/**
 * Components of the non-zero pixels, neighbours by edge or corner (8-connectivity). Union-find in two passes.
 *
 * @param mask row by row, non-zero inside. [height, width]
 * @throws MetricError when the mask does not have `width * height` pixels
 */
export function connectedComponents(mask: Uint8Array, width: number, height: number): ConnectedComponents {
  if (mask.length !== width * height) {
    throw new MetricError(
      'metric/mask-size',
      `a mask of ${width} x ${height} needs ${width * height} pixels, found ${mask.length}`,
      { width, height, found: mask.length },
    );
  }
  const labels = new Uint32Array(mask.length);
  const parents = new Forest();
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (mask[at] === 0) continue;
      const west = x > 0 ? (labels[at - 1] as number) : 0;
      const north = y > 0 ? (labels[at - width] as number) : 0;
      const northEast = y > 0 && x + 1 < width ? (labels[at - width + 1] as number) : 0;
      const northWest = y > 0 && x > 0 ? (labels[at - width - 1] as number) : 0;
      // North touches all the others, so two components can meet only without it: north-east with one of the west.
      let label = north || west || northWest;
      if (northEast !== 0 && north === 0) label = label === 0 ? northEast : parents.join(label, northEast);
      labels[at] = label === 0 ? parents.add() : label;
    }
  }
  return { labels, areas: renumber(labels, parents) };
}

/** Replaces provisional labels by consecutive ones and counts the pixels of each. */
function renumber(labels: Uint32Array, parents: Forest): Uint32Array {
  const finalLabels = new Uint32Array(parents.size + 1);
  const areas: number[] = [];
  for (let at = 0; at < labels.length; at++) {
    const provisional = labels[at] as number;
    if (provisional === 0) continue;
    const root = parents.find(provisional);
    if (finalLabels[root] === 0) finalLabels[root] = areas.push(0);
    const label = finalLabels[root] as number;
    labels[at] = label;
    areas[label - 1] = (areas[label - 1] as number) + 1;
  }
  return Uint32Array.from(areas);
}

/** Disjoint sets of labels 1.., with path halving; the smaller label is the root. */
class Forest {
  private readonly parents: number[] = [0];

  get size(): number {
    return this.parents.length - 1;
  }

  add(): number {
    return this.parents.push(this.parents.length) - 1;
  }

  find(label: number): number {
    let at = label;
    while (this.parents[at] !== at) {
      const grandparent = this.parents[this.parents[at] as number] as number;
      this.parents[at] = grandparent;
      at = grandparent;
    }
    return at;
  }

  join(one: number, other: number): number {
    const [a, b] = [this.find(one), this.find(other)];
    const root = Math.min(a, b);
    this.parents[Math.max(a, b)] = root;
    return root;
  }
}
