import * as path from 'node:path';
import { z } from 'zod';
import { DatasetError } from '../../lib/errors';
import { compareText, makeCategory, makeSample, type DatasetProblem, type Sample } from '../sample';
import { statOf } from '../inventory';
import { readJsonFile } from '../list-file';
import { childFile } from '../listing';
import { isInside } from '../path-in-set';
import { missingMask, type Layout } from './layout';

const item = z.object({
  img_path: z.string().min(1),
  mask_path: z.string().nullish(),
  cls_name: z.string().min(1),
  specie_name: z.string().nullish(),
  anomaly: z.union([z.literal(0), z.literal(1), z.boolean()]).transform(Number),
});
/** A record of zod drops the key `__proto__`, and with it the images of a category that is called so. */
const ofCategories = z.custom<object>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'expected an object with a list for each category',
);
const metaFile = z.object({ test: ofCategories, train: z.unknown().optional() });

/**
 * The list that the reference programs read (docs/method.md#meta-json): `meta.json` with `test: { CATEGORY: [item] }`.
 */
export const metaJsonLayout: Layout = {
  name: 'meta-json',
  looksFor:
    'meta.json with { "test": { CATEGORY: [{ img_path, mask_path, cls_name, specie_name, anomaly }] } } (the reference programs)',
  fits: (root) => childFile(root, 'meta.json') !== undefined,
  read(root) {
    const file = childFile(root, 'meta.json') as string;
    const { test: items, train } = readMeta(file);
    const hasMasks = items.some((entry) => entry.anomaly === 1 && Boolean(entry.mask_path));
    const problems: DatasetProblem[] = outside(root, file, items);
    const samples: Sample[] = [];
    for (const entry of items) {
      const image = resolveListed(root, entry.img_path);
      if (image === undefined) {
        const wanted = path.join(root, entry.img_path);
        problems.push({
          kind: 'missing-image',
          severity: 'error',
          path: wanted,
          message: `meta.json names ${wanted}, which does not exist`,
        });
        continue;
      }
      const mask = entry.mask_path ? (resolveListed(root, entry.mask_path) ?? null) : null;
      if (entry.anomaly === 1 && hasMasks && mask === null)
        problems.push(missingMask(image, entry.mask_path || 'mask_path of meta.json'));
      samples.push(
        makeSample(
          entry.cls_name,
          image,
          entry.anomaly === 1 ? entry.specie_name || 'anomaly' : null,
          mask === null ? [] : [mask],
        ),
      );
    }
    const names = [...new Set(samples.map((sample) => sample.category))].sort(compareText);
    const categories = names.map((name) =>
      makeCategory(
        name,
        samples.filter((sample) => sample.category === name),
      ),
    );
    const others = [
      file,
      ...train
        .flatMap((entry) => [entry.img_path, entry.mask_path])
        .flatMap((listed) => (listed ? (resolveListed(root, listed) ?? []) : [])),
    ];
    return { categories, problems, hasMasks, others };
  },
};

interface Items {
  readonly test: readonly z.infer<typeof item>[];
  /** Those that can be understood; nothing is trained on them. */
  readonly train: readonly z.infer<typeof item>[];
}

function readMeta(file: string): Items {
  const content = readJsonFile(file);
  try {
    const { test, train } = metaFile.parse(content);
    const listed = Object.entries(test).flatMap(([category, items]) => itemsOf(items, ['test', category]));
    const others = typeof train === 'object' && train !== null ? Object.values(train).flat() : [];
    return { test: listed, train: others.flatMap((entry) => item.safeParse(entry).data ?? []) };
  } catch (error) {
    const reason =
      error instanceof z.ZodError ? z.prettifyError(error).split('\n').slice(0, 6).join('; ') : String(error);
    throw new DatasetError(
      'dataset/meta-json',
      `${file} cannot be read: ${reason}. Expected ${metaJsonLayout.looksFor}.`,
      { path: file },
      { cause: error },
    );
  }
}

function itemsOf(items: unknown, place: readonly string[]): z.infer<typeof item>[] {
  const parsed = z.array(item).safeParse(items);
  if (parsed.success) return parsed.data;
  throw new z.ZodError(parsed.error.issues.map((issue) => ({ ...issue, path: [...place, ...issue.path] })));
}

/** Some generators write paths that contain the root already (docs/method.md#meta-json). */
function resolveListed(root: string, listed: string): string | undefined {
  const plain = listed.replaceAll('\\', '/');
  const tail = plain.split(`/${path.basename(root)}/`).at(-1) as string;
  const withoutRoot = plain.startsWith(`${path.basename(root)}/`) ? plain.slice(path.basename(root).length + 1) : tail;
  return [path.resolve(root, plain), path.resolve(root, withoutRoot)].find(
    (candidate) => isInside(root, candidate) && statOf(candidate) !== undefined,
  );
}

/** A list that comes with a set may not name files elsewhere on this machine. */
function outside(root: string, file: string, items: Items['test']): DatasetProblem[] {
  const strangers = items
    .flatMap(({ img_path, mask_path }) => [img_path, mask_path ?? ''])
    .filter((listed) => {
      const place = path.resolve(root, listed.replaceAll('\\', '/'));
      return (
        listed !== '' &&
        !isInside(root, place) &&
        resolveListed(root, listed) === undefined &&
        statOf(place) !== undefined
      );
    });
  return strangers.map((listed) => ({
    kind: 'bad-row',
    severity: 'error',
    path: file,
    message: `${file} names ${listed}, which is outside the set and is not read; move it into ${root}`,
  }));
}
