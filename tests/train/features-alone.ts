/**
 * Encodes images of a small set in several companies, with whatever kernels the environment leaves, and prints what came
 * of it as JSON. Run by features-of-kernels.test.ts. usage: features-alone.ts BACKBONE SET
 */
import { createHash } from 'node:crypto';
import { openDataset, type Sample } from '../../datasets/dataset';
import { prepareBackend } from '../../lib/backend';
import { CLIP_PREPROCESSING } from '../../lib/image/preprocess';
import { openBackbone } from '../../lib/methods/backbone';
import { buildCraneModel } from '../../lib/methods/crane/build';
import { disposeBatch } from '../../train/encoded-image';
import { FeatureStore } from '../../train/feature-store';

export interface FeaturesInCompany {
  readonly backend: string;
  readonly kernels: string | null;
  /** A hash of each image's features, for each company that they were encoded in, in the order of the set. */
  readonly hashes: readonly (readonly string[])[];
}

async function main([backboneFile = '', root = '']: readonly string[]): Promise<FeaturesInCompany> {
  const backend = await prepareBackend();
  const backbone = await openBackbone(backboneFile);
  const model = buildCraneModel(backbone, { prompts: { seed: 1 } });
  backbone.close();
  const samples = (await openDataset(root)).categories.flatMap((category) => category.samples);
  const hashesOf = async (chosen: readonly Sample[]): Promise<Map<Sample, string>> => {
    const store = await FeatureStore.encode(model, chosen, {
      preprocessing: CLIP_PREPROCESSING,
      interpolation: 'nearest',
      precision: 'float32',
    });
    const hashes = new Map<Sample, string>();
    for (const [place, sample] of chosen.entries()) {
      const batch = await store.batch([place]);
      const hash = createHash('sha256');
      for (const tensor of [batch.global, ...batch.patches])
        hash.update(new Uint8Array(tensor.dataSync().slice().buffer));
      hashes.set(sample, hash.digest('hex').slice(0, 16));
      disposeBatch(batch);
    }
    await store.close();
    return hashes;
  };
  const companies = [
    await hashesOf(samples),
    await hashesOf([...samples].reverse()),
    new Map((await Promise.all(samples.map((sample) => hashesOf([sample])))).flatMap((one) => [...one])),
  ];
  model.dispose();
  return {
    backend: backend.name,
    kernels: backend.kernels === null ? null : backend.kernels.own ? backend.kernels.instructions : 'plain',
    hashes: companies.map((company) => samples.map((sample) => company.get(sample) as string)),
  };
}

void main(process.argv.slice(2)).then((result) => process.stdout.write(`${JSON.stringify(result)}\n`));
