import * as fs from 'node:fs';
import * as path from 'node:path';
import { z } from 'zod';
import { DatasetError } from '../../lib/errors';
import { compareText, makeCategory, makeSample, type DatasetProblem, type Sample } from '../sample';
import { childFile } from '../listing';
import { missingMask, type Layout } from './layout';

const item = z.object({
  img_path: z.string().min(1),
  mask_path: z.string().nullish(),
  cls_name: z.string().min(1),
  specie_name: z.string().nullish(),
  anomaly: z.union([z.literal(0), z.literal(1), z.boolean()]).transform(Number),
});
const metaFile = z.object({ test: z.record(z.string(), z.array(item)) });

/** The list that the reference programs read (spec 9.1): `meta.json` with `test: { CATEGORY: [item] }`. */
export const metaJsonLayout: Layout = {
  name: 'meta-json',
  looksFor: 'meta.json with { "test": { CATEGORY: [{ img_path, mask_path, cls_name, specie_name, anomaly }] } } (the reference programs)',
  fits: (root) => childFile(root, 'meta.json') !== undefined,
  read(root) {
    const file = childFile(root, 'meta.json') as string;
    const items = Object.values(readMeta(file).test).flat();
    const hasMasks = items.some((entry) => entry.anomaly === 1 && Boolean(entry.mask_path));
    const problems: DatasetProblem[] = [];
    const samples: Sample[] = [];
    for (const entry of items) {
      const image = resolveListed(root, entry.img_path);
      if (image === undefined) {
        const wanted = path.join(root, entry.img_path);
        problems.push({ kind: 'missing-image', severity: 'error', path: wanted, message: `meta.json names ${wanted}, which is not there` });
        continue;
      }
      const mask = entry.mask_path ? (resolveListed(root, entry.mask_path) ?? null) : null;
      if (entry.anomaly === 1 && hasMasks && mask === null) problems.push(missingMask(image, entry.mask_path || 'mask_path of meta.json'));
      samples.push(makeSample(entry.cls_name, image, entry.anomaly === 1 ? entry.specie_name || 'anomaly' : null, mask === null ? [] : [mask]));
    }
    const names = [...new Set(samples.map((sample) => sample.category))].sort(compareText);
    const categories = names.map((name) => makeCategory(name, samples.filter((sample) => sample.category === name)));
    return { categories, problems, hasMasks };
  },
};

function readMeta(file: string): z.infer<typeof metaFile> {
  try {
    return metaFile.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error).split('\n').slice(0, 6).join('; ') : String(error);
    throw new DatasetError('dataset/meta-json', `${file} cannot be read: ${reason}. Expected ${metaJsonLayout.looksFor}.`, { path: file }, { cause: error });
  }
}

/** Some generators write paths that contain the root already (spec 9.1). */
function resolveListed(root: string, listed: string): string | undefined {
  const plain = listed.replaceAll('\\', '/');
  const tail = plain.split(`/${path.basename(root)}/`).at(-1) as string;
  const withoutRoot = plain.startsWith(`${path.basename(root)}/`) ? plain.slice(path.basename(root).length + 1) : tail;
  return [path.resolve(root, plain), path.join(root, withoutRoot)].find((candidate) => fs.existsSync(candidate));
}
