import * as path from 'node:path';
import { openDataset } from '../../datasets/dataset';
import { evaluate } from '../../eval/evaluator';
import { Crane } from '../../index';

test('masks of photographs that are turned lie on their defects: pixel AUROC of 98 and not of 21', async () => {
  const dataset = await openDataset(path.join(__dirname, 'exif-and-raw-mask'));
  for (const referenceImages of [false, true]) {
    const crane = await Crane.load({ offline: true, referenceImages });
    const { mean, failures } = await evaluate(crane, dataset);
    crane.dispose();
    expect(failures).toEqual([]);
    // As the reference reads, neither is turned: another picture for the network, but the same pixels.
    expect(mean['pixel/auroc']).toBeCloseTo(referenceImages ? 0.972 : 0.98, 2);
  }
}, 120_000);
