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
  /** The model that the evaluation was made with; detects the few images again that the report shows. */
  readonly crane: Crane;
  readonly onProgress?: OnProgress;
}

/**
 * Writes a page that holds everything in one file: figures, curves, pictures and the manifest of the run. It opens without
 * a network, loads nothing, and is written whole or not at all. Folders on the way are made.
 *
 * @throws what the model throws while the pictures are made; the system's error where the file cannot be written
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
