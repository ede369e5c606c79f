const NORMAL = new Set(['normal', 'good', 'ok', 'false', 'no', 'negative', 'healthy', 'free', 'pass', '-1']);
const ANOMALOUS = new Set([
  'anomaly',
  'anomalous',
  'abnormal',
  'defect',
  'defective',
  'bad',
  'ko',
  'nok',
  'ng',
  'true',
  'yes',
  'positive',
  'fail',
]);

/** What a label may say, for messages. */
export const LABELS_EXPECTED = 'normal or anomaly, 0 or 1, good or bad';

/**
 * Whether a label calls an image anomalous: words in upper or lower case, or 0 and 1 in any way of writing numbers (`1.0`).
 * @returns undefined for a label that says neither
 */
export function isAnomalousLabel(label: string): boolean | undefined {
  const word = label.trim().toLowerCase();
  if (NORMAL.has(word)) return false;
  if (ANOMALOUS.has(word)) return true;
  const value = word === '' ? NaN : Number(word);
  return value === 0 ? false : value === 1 ? true : undefined;
}
