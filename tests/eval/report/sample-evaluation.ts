import type { ModelDescription } from '../../../lib/crane';
import type { CategoryEvaluation, Evaluation, ScoredImage } from '../../../eval/evaluation';
import { ImageMetrics } from '../../../eval/metrics/image-metrics';
import {
  meanOverCategories,
  PIXEL_METRIC_IDS,
  type MetricId,
  type MetricValues,
} from '../../../eval/metrics/metric-ids';
import { PixelMetrics } from '../../../eval/metrics/pixel-metrics';
import { reportPage, type PageContent } from '../../../eval/report/page';
import type { Thumbnails } from '../../../eval/gallery/pictures';
import { SHOWN_KINDS, selectImages } from '../../../eval/gallery/selection';
import { resultsOf } from '../../../eval/results';

export const WITHOUT_MASKS = 'the set has no masks';

/** A category with real metrics over given scores; maps are 4 x 4, with the defect in the upper left corner. */
export function categoryOf(
  name: string,
  normal: readonly number[],
  anomalous: readonly number[],
  options: { masks?: boolean; defect?: string; root?: string } = {},
): CategoryEvaluation {
  const { masks = true, defect = 'scratch', root = '/set' } = options;
  const image = new ImageMetrics();
  const pixel = new PixelMetrics();
  const scores: ScoredImage[] = [];
  const add = (score: number, bad: boolean, index: number): void => {
    image.add(score, bad);
    const mask = Uint8Array.from({ length: 16 }, (_, at) => (bad && at < 2 ? 1 : 0));
    pixel.add(
      Float32Array.from(mask, (one, at) => score / 2 + one / 3 + at / 100),
      mask,
      4,
      4,
    );
    const folder = bad ? defect : 'good';
    scores.push({
      path: `${root}/${name}/test/${folder}/${index}.png`,
      defect: folder,
      anomalous: bad,
      maskPath: bad && masks ? `${root}/${name}/ground_truth/${index}.png` : null,
      score,
    });
  };
  normal.forEach((score, index) => add(score, false, index));
  anomalous.forEach((score, index) => add(score, true, index));
  const none = Object.fromEntries(PIXEL_METRIC_IDS.map((id) => [id, null]));
  return {
    name,
    images: scores.length,
    anomalous: anomalous.length,
    metrics: { ...image.value(), ...(masks ? pixel.value() : none) } as MetricValues,
    reasons: {
      ...image.reasons(),
      ...(masks
        ? pixel.reasons()
        : (Object.fromEntries(PIXEL_METRIC_IDS.map((id) => [id, WITHOUT_MASKS])) as Partial<Record<MetricId, string>>)),
    },
    scores,
    curves: {
      imageRoc: image.rocCurve(),
      pixelRoc: masks ? pixel.rocCurve() : null,
      pixelPrecisionRecall: masks ? pixel.precisionRecallCurve() : null,
      pixelPro: masks ? pixel.proCurve() : null,
    },
    bestThreshold: null,
    detectionSeconds: 1,
  };
}

export function evaluationOf(categories: readonly CategoryEvaluation[], of: Partial<Evaluation> = {}): Evaluation {
  return {
    dataset: 'castings',
    root: '/set',
    categories,
    mean: meanOverCategories(categories.map(({ metrics }) => metrics)),
    groups: [],
    failures: [],
    seconds: 12.5,
    ...of,
  };
}

export const description: ModelDescription = {
  method: 'crane',
  backbone: 'nano',
  prompts: 'nano-prompts.safetensors',
  spatial: null,
  sizes: {
    embedDimension: 64,
    vision: { width: 128, layers: 6, heads: 2, patchSize: 14, gridSize: 4 },
    text: { width: 64, layers: 4, heads: 1, contextLength: 77, vocabularySize: 49408 },
  },
  activation: 'quick-gelu',
  options: {
    imageSize: 70,
    layers: [2, 4, 6],
    eattnBlocks: 5,
    attention: 'qq+kk+vv',
    fusion: 'soft',
    pooling: true,
    context: false,
    contextPosition: 'pad_suffix',
    sigma: 4,
    temperature: 0.07,
    spatial: 'none',
    spatialOnly: false,
    dattnBeta: 1.2,
    dattnGamma: 3,
    dattnMean: 'image',
  },
  preprocessing: { resize: 'bicubic', mean: [0, 0, 0], std: [1, 1, 1], reference: false },
  auxiliary: 'synthetic-auxiliary',
  warnings: [],
  backend: {
    name: 'cpu',
    reason: 'asked for by name',
    nativeFailure: null,
    tensorflowVersion: null,
    threads: 1,
    gpu: false,
    device: null,
    selfCheck: null,
    warning: null,
    simd: false,
    kernels: null,
  },
};

const DOT = 'data:image/webp;base64,AAAA';

/** The page of an evaluation, with the same dot as every picture. */
export function pageOf(
  evaluation: Evaluation,
  { command = 'crane eval', model = description, unreadable = [] as readonly string[] } = {},
): string {
  const selection = selectImages(evaluation);
  const thumbnails = new Map<string, Thumbnails>();
  for (const { images } of selection.categories) {
    for (const { path } of SHOWN_KINDS.flatMap((kind) => images[kind])) {
      if (!unreadable.includes(path)) thumbnails.set(path, { original: DOT, overlay: DOT, width: 12, height: 9 });
    }
  }
  const { run } = resultsOf([evaluation], model, command);
  const content: PageContent = { evaluation, model, run, selection, thumbnails, colourBar: DOT };
  return reportPage(content);
}
