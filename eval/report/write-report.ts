import { writeFileAtomically } from '../../lib/files/atomic-file';
import type { Crane } from '../../lib/crane';
import type { OnProgress } from '../../lib/progress';
import type { Evaluation } from '../evaluation';
import type { Results } from '../results';
import { reportPage } from './page';
import { renderColourBar, renderThumbnails } from '../gallery/pictures';
import { selectImages } from '../gallery/selection';

export interface ReportContent {
  readonly evaluation: Evaluation;
  readonly results: Results;
  /** The model that the evaluation was made with; it detects the few images shown in the report again. */
  readonly crane: Crane;
  readonly onProgress?: OnProgress;
}

/**
 * Writes a self-contained page: figures, curves, images and the manifest of the run. It opens without
 * a network, loads nothing, and is written atomically. Missing folders are created.
 *
 * @throws what the model throws while the thumbnails are made; the system's error where the file cannot be written
 */
export async function writeReport(
  file: string,
  { evaluation, results, crane, onProgress }: ReportContent,
): Promise<void> {
  const selection = selectImages(evaluation);
  const thumbnails = await renderThumbnails(crane, selection, onProgress);
  const colourBar = await renderColourBar();
  const page = reportPage({ evaluation, model: results.model, run: results.run, selection, thumbnails, colourBar });
  await writeFileAtomically(file, page);
}
