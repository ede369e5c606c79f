/** The outcome of a threshold on the image scores of a category. */
export interface Confusion {
  /** Anomalous images at or above the threshold. */
  readonly found: number;
  readonly missed: number;
  /** Normal images at or above the threshold. */
  readonly alarms: number;
  readonly passed: number;
  /** 0..1; null where nothing is called anomalous. */
  readonly precision: number | null;
  /** 0..1; null where nothing is anomalous. */
  readonly recall: number | null;
  /** 0..1; null where nothing is anomalous or called anomalous. */
  readonly f1: number | null;
}

/**
 * Counts what is called anomalous at or above a threshold. The page embeds this function's source, so
 * it uses nothing from outside.
 * @param normal scores in rising order
 * @param anomalous scores in rising order
 */
export function confusionAt(normal: readonly number[], anomalous: readonly number[], threshold: number): Confusion {
  const below = (scores: readonly number[]): number => {
    let [from, to] = [0, scores.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((scores[middle] as number) < threshold) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  const [missed, passed] = [below(anomalous), below(normal)];
  const [found, alarms] = [anomalous.length - missed, normal.length - passed];
  const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);
  return {
    found,
    missed,
    alarms,
    passed,
    precision: share(found, found + alarms),
    recall: share(found, found + missed),
    f1: share(2 * found, 2 * found + missed + alarms),
  };
}

/** In rising order, in as few characters as keep all single-precision scores distinct. */
export function scoreList(scores: readonly number[]): string {
  return [...scores]
    .sort((one, other) => one - other)
    .map((score) => Number(score.toPrecision(9)))
    .join(' ');
}

/**
 * Script of the page: a slider below each histogram, as wide as its axis, moves the threshold and shows what it would
 * find and miss. Without script, the page shows the figures of the best threshold.
 */
export const THRESHOLD_SCRIPT = `
const confusionAt = ${confusionAt.toString()};
for (const figure of document.querySelectorAll('[data-threshold]')) {
  const scores = (list) => (list === '' ? [] : list.split(' ').map(Number));
  const { label, normal, anomalous } = figure.dataset;
  const [normals, anomalies] = [scores(normal), scores(anomalous)];
  const [low, high, best] = [figure.dataset.low, figure.dataset.high, figure.dataset.threshold].map(Number);
  const line = figure.querySelector('.threshold');
  const width = Number(figure.dataset.width);
  const slider = document.createElement('input');
  const percent = (share) => (share === null ? 'n/a' : (100 * share).toFixed(1));
  const back = document.createElement('button');
  const show = (threshold) => {
    const counts = confusionAt(normals, anomalies, threshold);
    const texts = { ...counts, precision: percent(counts.precision), recall: percent(counts.recall), f1: percent(counts.f1), threshold: threshold.toFixed(3) };
    for (const place of figure.querySelectorAll('[data-show]')) place.textContent = texts[place.dataset.show];
    line.setAttribute('transform', 'translate(' + ((threshold - best) / (high - low)) * width + ' 0)');
    slider.setAttribute('aria-valuetext', texts.threshold + ': ' + counts.missed + ' missed, ' + counts.alarms + ' false alarms, F1 ' + texts.f1);
    back.disabled = threshold === best;
  };
  Object.assign(slider, { type: 'range', min: low, max: high, step: (high - low) / 500, value: best, className: 'slider' });
  slider.setAttribute('aria-label', 'Threshold for ' + label);
  slider.addEventListener('input', () => show(Number(slider.value)));
  Object.assign(back, { type: 'button', textContent: 'best F1', className: 'back' });
  back.setAttribute('aria-label', 'Back to the threshold with the best F1 for ' + label);
  back.addEventListener('click', () => {
    slider.value = best;
    show(best);
    slider.focus();
  });
  figure.querySelector('.chart').after(slider);
  figure.querySelector('.verdict').append(back);
  show(best);
}
`;
