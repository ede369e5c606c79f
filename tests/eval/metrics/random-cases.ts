import type { Scored, SlowMap } from './slow-metrics';

/** Numbers 0 (inclusive) to 1 (exclusive), the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A list of image scores with both classes: many ties, one value, wide ranges or plain noise, by seed. */
export function randomSamples(seed: number): Scored[] {
  const random = seeded(seed);
  const score = scoreMaker(seed, random);
  const samples = Array.from({ length: 2 + Math.floor(random() * 40) }, () => {
    const isAnomalous = random() < 0.4;
    return { score: score(isAnomalous), isAnomalous };
  });
  return [...samples, { score: score(true), isAnomalous: true }, { score: score(false), isAnomalous: false }];
}

/** One to three small maps with an anomalous and a normal pixel at least; regions of one pixel and larger ones. */
export function randomMaps(seed: number): SlowMap[] {
  const random = seeded(seed);
  const score = scoreMaker(seed, random);
  const maps = Array.from({ length: 1 + (seed % 3) }, (_, index): SlowMap => {
    const width = 1 + Math.floor(random() * 9);
    const height = 2 + Math.floor(random() * 8);
    const density = [0, 0.1, 0.3, 0.6][(seed + index) % 4] as number;
    const mask: number[] = Array.from({ length: width * height }, () => (random() < density ? 255 : 0));
    if (index === 0) mask.splice(0, 2, 1, 0);
    return { mask, width, height, scores: mask.map((value) => score(value !== 0)) };
  });
  return maps;
}

/** Scores are float32, as maps are. */
function scoreMaker(seed: number, random: () => number): (isAnomalous: boolean) => number {
  const lift = (isAnomalous: boolean) => (isAnomalous ? 0.4 * (seed % 2) : 0);
  switch (seed % 5) {
    case 0:
      return (isAnomalous) => Math.fround(random() + lift(isAnomalous));
    case 1:
      return (isAnomalous) => Math.round(4 * (random() + lift(isAnomalous))) / 4;
    case 2:
      return (isAnomalous) => Math.fround((random() - 0.5) * 10 ** Math.floor(random() * 8) + lift(isAnomalous));
    case 3:
      return (isAnomalous) => (random() < 0.3 ? Math.fround(lift(isAnomalous)) || -1 : random() < 0.5 ? 0 : -0);
    default:
      return seed % 25 === 4 ? () => 0.5 : (isAnomalous) => Math.fround(10 * lift(isAnomalous) - random());
  }
}
