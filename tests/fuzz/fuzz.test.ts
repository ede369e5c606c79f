import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { campaign } from './campaign';
import { mutantOf } from './child';
import { main } from './command';
import { readFinding } from './findings';
import { Judge } from './oracle';
import { GROUPS, type Target } from './target';
import { targets, targetsNamed } from './targets';
import { PLANTED, plantedTargets } from './targets/planted';
import { makeScratch, Workspace } from './workspace';

/** Reading is quick, but the machine may do much else. */
const LONG = 600_000;
const PATIENCE = 120;

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-fuzz-test-'));
});
afterEach(() => {
  fs.rmSync(folder, { recursive: true, force: true });
});

test(
  'a short run over every kind of file: only errors of our own come out, and readers are reached in depth',
  async () => {
    const perTarget = 150;
    const { tallies, findings } = await campaign({
      targets,
      seed: 20,
      mutants: perTarget * targets.length,
      patience: PATIENCE,
    });
    expect(findings).toEqual([]);
    expect(new Set(targets.map(({ group }) => group))).toEqual(new Set(GROUPS));
    for (const { target, mutants, accepted, refused } of tallies) {
      expect([target.name, mutants]).toEqual([target.name, perTarget]);
      expect([target.name, accepted + [...refused.values()].reduce((sum, times) => sum + times, 0)]).toEqual([
        target.name,
        perTarget,
      ]);
      // Where everything is refused, or nothing, mutants are too wild or too tame.
      expect(accepted).toBeGreaterThan(perTarget / 50);
    }
    const codes = new Set(tallies.flatMap(({ refused }) => [...refused.keys()]));
    for (const code of [
      'weights/format',
      'weights/truncated',
      'weights/unsafe-pickle',
      'weights/unsafe',
      'weights/config',
      'weights/missing',
      'image/corrupt',
      'image/unsupported',
      'npy/unsupported',
      'npy/corrupt',
      'map/shape',
      'dataset/archive',
      'dataset/archive-unsafe',
      'dataset/list',
      'usage/scores',
    ])
      expect([...codes]).toContain(code);
  },
  LONG,
);

test('a mutant follows from target, seed and number', () => {
  for (const target of targets) {
    const bytes = (seed: number, index: number): string =>
      JSON.stringify(
        Object.entries(mutantOf(target, seed, index)).map(([name, content]) => [
          name,
          Buffer.from(content).toString('base64'),
        ]),
      );
    expect(bytes(1, 5)).toBe(bytes(1, 5));
    const some = [0, 1, 2, 3, 4, 5].map((index) => bytes(1, index));
    expect(new Set([...some, bytes(2, 5)]).size).toBeGreaterThan(3);
  }
});

const planted = (name: string): Target => plantedTargets.find((target) => target.name === `planted-${name}`) as Target;
const goesWrong = (target: Target, index: number): boolean => mutantOf(target, 1, index)['x']?.[0] === PLANTED;
const firstWrong = (target: Target): number => {
  let index = 0;
  while (!goesWrong(target, index)) index++;
  return index;
};

describe('a planted fault is found', () => {
  test(
    'errors that are not our own, open files, a changed prototype, a file outside',
    async () => {
      const expected: readonly (readonly [string, string, RegExp])[] = [
        ['type-error', 'foreign-error', /^TypeError: Cannot read properties of undefined/],
        ['system-error', 'foreign-error', /^Error: ENOENT/],
        ['handle', 'handle', /stays open/],
        ['prototype', 'prototype', /polluted/],
        ['breach', 'breach', /outside of the folder/],
      ];
      const { findings } = await campaign({
        targets: expected.map(([name]) => planted(name)),
        seed: 1,
        mutants: 40 * expected.length,
        patience: PATIENCE,
      });
      expect(findings).toHaveLength(expected.length);
      for (const [name, kind, message] of expected) {
        const target = planted(name);
        expect(findings).toContainEqual({
          target: target.name,
          seed: 1,
          index: firstWrong(target),
          kind,
          message: expect.stringMatching(message) as string,
        });
      }
    },
    LONG,
  );

  test.each([
    ['slow', 'hang', /it takes \d/],
    ['peak', 'memory', /it takes \d{3} MB above the start/],
    ['heap', 'crash', /heap/],
  ])(
    '%s',
    async (name, kind, message) => {
      const target = planted(name);
      const mutant = firstWrong(target);
      const { findings } = await campaign({ targets: [target], seed: 1, mutant, patience: PATIENCE });
      expect(findings).toMatchObject([{ target: target.name, index: mutant, kind }]);
      expect(findings[0]?.message).toMatch(message);
    },
    LONG,
  );

  test.each(['hang', 'wait'])(
    '%s',
    async (name) => {
      const target = planted(name);
      const mutant = firstWrong(target);
      const { findings } = await campaign({ targets: [target], seed: 1, mutant, patience: 2 });
      expect(findings).toMatchObject([{ index: mutant, kind: 'hang', message: 'no sign of life for 2 s' }]);
    },
    LONG,
  );

  test(
    'memory that is kept, a little of each mutant',
    async () => {
      const { findings } = await campaign({ targets: [planted('leak')], seed: 1, mutants: 40, patience: PATIENCE });
      expect(findings).toMatchObject([{ kind: 'leak' }]);
    },
    LONG,
  );

  test(
    'among others: each is blamed on its own mutant, and the rest is read',
    async () => {
      const mixed = ['type-error', 'peak', 'crash'].map(planted);
      const { findings, tallies } = await campaign({ targets: mixed, seed: 1, mutants: 3 * 40, patience: PATIENCE });
      expect(findings.map(({ target, kind, index }) => [target, kind, index]).sort()).toEqual([
        ['planted-crash', 'crash', firstWrong(planted('crash'))],
        ['planted-peak', 'memory', firstWrong(planted('peak'))],
        ['planted-type-error', 'foreign-error', firstWrong(planted('type-error'))],
      ]);
      expect(tallies.map(({ mutants }) => mutants)).toEqual([40, 40, 40]);
      // What the process that crashed had counted is lost with it.
      for (const { refused } of tallies.slice(0, 2)) expect([...refused.keys()]).toEqual(['weights/format']);
    },
    LONG,
  );
});

test(
  'a finding is saved small, with how to repeat it, and shows the same when it is read again',
  async () => {
    const target = planted('type-error');
    const saved: (string | undefined)[] = [];
    const mutant = firstWrong(target);
    await campaign({
      targets: [target],
      seed: 1,
      mutant,
      patience: PATIENCE,
      out: folder,
      onFinding: (_, file) => saved.push(file),
    });
    const [file] = saved as [string];
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toMatchObject({
      repeat: `npm run fuzz -- --target planted-type-error --seed 1 --mutant ${mutant}`,
    });
    const finding = readFinding(file, (name) => targetsNamed([name])[0]);
    // Of twenty bytes only the first one matters.
    expect([...(finding.files['x'] as Uint8Array)]).toEqual([PLANTED]);
    const { faults } = await new Judge(finding.target, new Workspace(path.join(folder, 'again'))).read(finding.files);
    expect(faults).toMatchObject([{ kind: 'foreign-error', message: finding.message }]);
  },
  LONG,
);

describe('what was found before', () => {
  const corpus = path.join(__dirname, 'corpus');
  let scratch: string;
  beforeAll(() => {
    scratch = makeScratch();
  });
  afterAll(() => {
    fs.rmSync(scratch, { recursive: true, force: true });
  });

  test.each(fs.readdirSync(corpus).filter((name) => name.endsWith('.json')))('%s', async (name) => {
    const { target, files } = readFinding(path.join(corpus, name), (each) => targetsNamed([each])[0]);
    const judge = new Judge(target, new Workspace(path.join(scratch, name)));
    // Libraries open what they keep open when they are used first.
    for (const seed of target.seeds) await judge.read(seed);
    judge.settle();
    const { faults } = await judge.read(files);
    expect(faults).toEqual([]);
  });
});

test('the command refuses what it does not understand', async () => {
  const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    for (const args of [['--target', 'nosuch'], ['--mutants', 'many'], ['--nosuch'], ['--minutes', '-1']])
      expect(await main(args)).toBe(2);
    expect(write.mock.calls.join()).toContain('no target nosuch; there are the groups weights, images');
  } finally {
    write.mockRestore();
  }
});
