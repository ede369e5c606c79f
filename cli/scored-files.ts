import * as path from 'node:path';
import type { Dataset, Sample } from '../datasets/dataset';
import { pathInSet } from '../datasets/path-in-set';
import type { Evaluation } from '../eval/evaluation';
import { csvLine } from '../eval/report/comma-separated';
import { stemOf } from '../lib/crane';
import { UsageError } from '../lib/errors';
import { writeFileAtomicallySync } from '../lib/files/atomic-file';

/**
 * Writes the scores of an evaluation, a line for each image, whole or not at all: its path in the set, category, defect,
 * whether it is anomalous (1 or 0), and the score with all its digits.
 */
export function writeScores(file: string, { root, categories }: Evaluation): void {
  const lines = categories.flatMap(({ name, scores }) =>
    scores.map(({ path: image, defect, anomalous, score }) =>
      csvLine([pathInSet(root, image), name, defect, anomalous ? 1 : 0, score]),
    ),
  );
  const text = [csvLine(['path', 'category', 'defect', 'anomalous', 'score']), ...lines].join('');
  writeFileAtomicallySync(file, (append) => append(Buffer.from(text)));
}

/**
 * The files of the maps of a set's images, `FOLDER/<category>/<defect>/<stem>.npy`.
 * @throws UsageError for images that would have one file
 */
export function mapFilesOf(folder: string, { categories }: Dataset): ReadonlyMap<Sample, string> {
  const files = new Map<Sample, string>();
  const owners = new Map<string, Sample>();
  for (const { name, samples } of categories) {
    for (const sample of samples) {
      const file = path.join(folder, name, sample.defect, `${stemOf(sample.imagePath)}.npy`);
      const owner = owners.get(file.toLowerCase());
      if (owner !== undefined) {
        throw new UsageError(
          'usage/maps',
          `--maps ${folder}: the maps of ${owner.imagePath} and ${sample.imagePath} would be one file, ${file}; rename one of the images, or leave --maps out`,
          { file, images: [owner.imagePath, sample.imagePath] },
        );
      }
      owners.set(file.toLowerCase(), sample);
      files.set(sample, file);
    }
  }
  return files;
}
