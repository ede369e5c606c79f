import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { openDataset } from '../../datasets/dataset';
import { fetchDataset, type FetchOptions } from '../../datasets/fetch';
import { findRegisteredDataset, type RegisteredDataset } from '../../datasets/registry';
import type { Progress } from '../../lib/progress';
import { zip } from '../weights/archives';
import { answerWell, breakOff, serve, type LocalServer } from '../weights/local-server';
import { tar } from './archives/tar';
import { png } from './tree';

let data: string;
const servers: LocalServer[] = [];

beforeEach(() => {
  data = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-fetch-'));
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  fs.rmSync(data, { recursive: true, force: true });
});

/** A registered set whose archives are served here. */
function served(
  name: string,
  files: readonly {
    readonly server: LocalServer;
    readonly file: string;
    readonly content: Buffer;
    readonly sha256?: string;
  }[],
): RegisteredDataset {
  const archives = files.map(({ server, file, content, sha256 }) => ({
    url: server.url.replace('weights.pt', file),
    sha256: sha256 ?? createHash('sha256').update(content).digest('hex'),
  }));
  return { ...(findRegisteredDataset(name) as RegisteredDataset), archives };
}

async function server(answer: Parameters<typeof serve>[0]): Promise<LocalServer> {
  const started = await serve(answer);
  servers.push(started);
  return started;
}

const options = (): FetchOptions => ({
  dataFolder: data,
  acceptLicense: true,
  backoff: 1,
  offline: false,
  allowPrivateUrls: true,
});

async function btadZip(): Promise<Buffer> {
  const image = await png(8, 8, 9);
  return zip(
    ['train/ok/0.bmp', 'test/ok/0.bmp', 'test/ko/1.bmp', 'ground_truth/ko/1.png'].map((file) => ({
      name: `BTech_Dataset_transformed/01/${file}`,
      content: image,
      packed: true,
    })),
  );
}

test('a set in a zip: fetched, verified, unpacked, opened by its name; a second call leaves it alone', async () => {
  const content = await btadZip();
  const from = await server((request, response) => answerWell(content, '"1"', request, response));
  const entry = served('btad', [{ server: from, file: 'btad.zip', content }]);
  const tasks = new Set<string>();
  expect(await fetchDataset(entry, { ...options(), onProgress: ({ task }: Progress) => tasks.add(task) })).toEqual({
    folder: path.join(data, 'btad'),
    fetched: true,
  });
  expect([...tasks]).toEqual(['download btad.zip', 'unpack btad.zip']);
  expect(fs.readdirSync(path.join(data, 'btad'))).toEqual(['BTech_Dataset_transformed']);
  expect(fs.readdirSync(path.join(data, '.downloads'))).toEqual([]);
  const dataset = await openDataset('btad', { dataFolder: data });
  expect(dataset).toMatchObject({
    name: 'btad',
    layout: 'mvtec',
    root: path.join(data, 'btad/BTech_Dataset_transformed'),
  });
  expect(dataset.categories[0]?.samples.map(({ defect, hasMask }) => [defect, hasMask])).toEqual([
    ['ko', true],
    ['good', false],
  ]);
  const asked = from.ranges.length;
  expect(await fetchDataset(entry, options())).toEqual({ folder: path.join(data, 'btad'), fetched: false });
  expect(from.ranges).toHaveLength(asked);
});

test('two archives of one set, and a tar; kept when asked for', async () => {
  const image = await png(8, 8, 9);
  const [images, masks] = [
    tar([{ name: 'ISBI2016_ISIC_Part1_Test_Data/ISIC_1.jpg', content: image }]),
    zip([{ name: 'ISBI2016_ISIC_Part1_Test_GroundTruth/ISIC_1_Segmentation.png', content: image }]),
  ];
  const from = await server((request, response) =>
    answerWell(request.url?.includes('Data') ? images : masks, '"1"', request, response),
  );
  const entry = served('isic', [
    { server: from, file: 'Data.tar', content: images },
    { server: from, file: 'Truth.zip', content: masks },
  ]);
  await fetchDataset(entry, { ...options(), keepArchives: true });
  expect(await openDataset('isic', { dataFolder: data })).toMatchObject({
    layout: 'images-masks',
    problems: [],
    categories: [{ name: 'skin', samples: [{ hasMask: true }] }],
  });
  expect(fs.readdirSync(path.join(data, '.downloads/isic')).sort()).toEqual(['Data.tar', 'Truth.zip']);
});

test('broken lines: it goes on where it stopped, in one call and in the next', async () => {
  const content = await btadZip();
  const third = Math.floor(content.length / 3);
  let broken = 0;
  const from = await server((request, response) => {
    if (request.method === 'HEAD' || broken > 4) answerWell(content, '"1"', request, response);
    else if (broken++ < 1) breakOff(content, '"1"', third, request, response);
    else response.destroy();
  });
  const entry = served('btad', [{ server: from, file: 'btad.zip', content }]);
  await expect(fetchDataset(entry, { ...options(), retries: 2 })).rejects.toMatchObject({
    code: 'download/failed',
    data: { received: third },
  });
  expect(fs.existsSync(path.join(data, 'btad'))).toBe(false);
  broken = 5;
  await fetchDataset(entry, options());
  expect(from.ranges.at(-1)).toBe(`bytes=${third}-`);
  expect((await openDataset('btad', { dataFolder: data })).problems.map(({ kind }) => kind)).toEqual([
    'missing-category',
  ]);
});

test('stopped by a person while it downloads: what came is kept and the next call goes on', async () => {
  const content = zip([{ name: 'BTech_Dataset_transformed/01/test/ok/0.bmp', content: Buffer.alloc(200_000, 7) }]);
  let slow = true;
  const from = await server((request, response) => {
    if (request.method === 'HEAD' || !slow) return answerWell(content, '"1"', request, response);
    response.writeHead(200, { 'content-length': content.length, etag: '"1"' });
    response.write(content.subarray(0, 50_000));
  });
  const entry = served('btad', [{ server: from, file: 'btad.zip', content }]);
  const controller = new AbortController();
  const stopped = fetchDataset(entry, {
    ...options(),
    signal: controller.signal,
    onProgress: (progress) =>
      progress.kind === 'advance' && progress.done >= 50_000 && controller.abort(new Error('Ctrl-C')),
  });
  await expect(stopped).rejects.toThrow('Ctrl-C');
  slow = false;
  expect((await fetchDataset(entry, options())).fetched).toBe(true);
  expect(from.ranges.at(-1)).toBe('bytes=50000-');
});

describe('a server that never ends', () => {
  /** Sends pieces until nobody listens, without a word of the length. */
  const endless = (piece: Buffer): Promise<LocalServer> =>
    server((request, response) => {
      response.writeHead(200);
      if (request.method === 'HEAD') return void response.end();
      const timer = setInterval(() => response.write(piece), 1);
      response.on('close', () => clearInterval(timer));
    });

  test('is stopped below the least speed, which is 1000 bytes per second over a minute where nothing is given', async () => {
    const from = await endless(Buffer.alloc(2));
    let clock = 0;
    const now = jest.spyOn(performance, 'now').mockImplementation(() => clock);
    try {
      const entry = served('btad', [{ server: from, file: 'btad.zip', content: Buffer.alloc(0) }]);
      const onProgress = ({ kind }: Progress): void => {
        if (kind === 'advance') clock += 10_000;
      };
      await expect(fetchDataset(entry, { ...options(), onProgress })).rejects.toMatchObject({
        code: 'download/slow',
        data: { expected: 60_000, seconds: 60 },
      });
    } finally {
      now.mockRestore();
    }
    expect(from.ranges).toHaveLength(2);
    expect(fs.existsSync(path.join(data, 'btad'))).toBe(false);
  });

  test('is stopped at the most bytes that a file may have', async () => {
    const from = await endless(Buffer.alloc(50_000));
    const entry = served('btad', [{ server: from, file: 'btad.zip', content: Buffer.alloc(0) }]);
    await expect(fetchDataset(entry, { ...options(), maxBytes: 300_000 })).rejects.toMatchObject({
      code: 'download/length',
      data: { expected: 300_000 },
    });
    expect(from.ranges).toHaveLength(2);
    expect(fs.readdirSync(path.join(data, '.downloads', 'btad'))).toEqual([]);
  });
});

test('another file than the published one, and an archive that is unsafe: nothing appears under the name', async () => {
  const content = await btadZip();
  const from = await server((request, response) => answerWell(content, '"1"', request, response));
  await expect(
    fetchDataset(served('btad', [{ server: from, file: 'btad.zip', content, sha256: '0'.repeat(64) }]), options()),
  ).rejects.toMatchObject({ code: 'download/sha256' });
  const evil = tar([
    { name: 'good', content: 'x' },
    { name: '../../evil', content: 'x' },
  ]);
  const other = await server((request, response) => answerWell(evil, '"1"', request, response));
  const entry = served('visa', [{ server: other, file: 'VisA.tar', content: evil }]);
  await expect(fetchDataset(entry, options())).rejects.toMatchObject({ code: 'dataset/archive-unsafe' });
  expect(fs.readdirSync(data).filter((name) => name !== '.downloads')).toEqual([]);
  // The archive itself is the right one, and is not fetched again.
  const asked = other.ranges.length;
  await expect(fetchDataset(entry, options())).rejects.toMatchObject({ code: 'dataset/archive-unsafe' });
  expect(other.ranges.slice(asked)).toEqual([undefined]);
});

test('an archive that a person put there is verified and used, another one is named', async () => {
  const content = await btadZip();
  const from = await server((_, response) => response.writeHead(500).end());
  const entry = served('btad', [{ server: from, file: 'btad.zip', content }]);
  const place = path.join(data, '.downloads/btad/btad.zip');
  fs.mkdirSync(path.dirname(place), { recursive: true });
  fs.writeFileSync(place, 'something else');
  await expect(fetchDataset(entry, options())).rejects.toThrow(
    /btad\.zip is not the archive of .*: it has sha256 .*, expected/,
  );
  fs.writeFileSync(place, content);
  expect((await fetchDataset(entry, { ...options(), offline: true })).fetched).toBe(true);
});

test('room is looked for before the first byte comes', async () => {
  const methods: (string | undefined)[] = [];
  const from = await server((request, response) => {
    methods.push(request.method);
    response.writeHead(200, { 'content-length': 2 ** 52 }).end();
  });
  const failed = fetchDataset(
    served('btad', [{ server: from, file: 'btad.zip', content: Buffer.alloc(0) }]),
    options(),
  );
  await expect(failed).rejects.toMatchObject({ code: 'dataset/disk-full', data: { needed: Math.ceil(2.2 * 2 ** 52) } });
  await expect(failed).rejects.toThrow(/9908 TB are needed for the archive and its content/);
  expect(methods).toEqual(['HEAD']);
});

test('what a process left that was ended while it unpacked is cleared away', async () => {
  const content = await btadZip();
  const from = await server((request, response) => answerWell(content, '"1"', request, response));
  fs.mkdirSync(path.join(data, '.btad.unpacking-1234/half'), { recursive: true });
  await fetchDataset(served('btad', [{ server: from, file: 'btad.zip', content }]), options());
  expect(fs.readdirSync(data).sort()).toEqual(['.downloads', 'btad']);
});

test('the licence is shown and must be accepted; sets without such an address say where to go', async () => {
  const visa = findRegisteredDataset('visa') as RegisteredDataset;
  await expect(fetchDataset(visa, { dataFolder: data })).rejects.toMatchObject({
    name: 'UsageError',
    code: 'dataset/license',
    message: expect.stringContaining('Licence: CC BY 4.0') as string,
  });
  await expect(fetchDataset(findRegisteredDataset('mvtec') as RegisteredDataset, options())).rejects.toMatchObject({
    code: 'dataset/not-fetchable',
    message: expect.stringContaining(`Unpack to: ${path.join(data, 'mvtec')}`) as string,
  });
  await expect(fetchDataset(findRegisteredDataset('synthetic-target') as RegisteredDataset, options())).rejects.toThrow(
    'crane datasets synthesize',
  );
  expect(fs.readdirSync(data)).toEqual([]);
});

test('published hashes and addresses', () => {
  const archives = (name: string): string[] =>
    (findRegisteredDataset(name)?.archives ?? []).map(({ url, sha256 }) => `${url} ${sha256?.slice(0, 8)}`);
  expect(archives('btad')).toEqual(['https://avires.dimi.uniud.it/papers/btad/btad.zip 461c9387']);
  expect(archives('sdd')).toEqual(['https://data.vicos.si/datasets/KSDD/KolektorSDD.zip 65dc6216']);
  expect(archives('isic')).toHaveLength(2);
});
