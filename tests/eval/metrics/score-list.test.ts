import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { readScoreList } from '../../../eval/metrics/score-list';
import { UsageError } from '../../../lib/errors';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-scores-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const file = path.join(folder, 'scores.csv');
const read = (text: string): ReturnType<typeof readScoreList> => {
  fs.writeFileSync(file, text);
  return readScoreList(file);
};

test('names, scores and labels, in any order of columns', () => {
  expect(read('label,score,name\n1,0.5,nut/bad/001.png\nnormal,-1e3,"nut/good, new/2"\n,7,3\n')).toEqual([
    { name: 'nut/bad/001.png', parts: ['nut', 'bad', '001'], line: 2, score: 0.5, anomalous: true },
    { name: 'nut/good, new/2', parts: ['nut', 'good, new', '2'], line: 3, score: -1000, anomalous: false },
    { name: '3', parts: ['3'], line: 4, score: 7, anomalous: undefined },
  ]);
  expect(read('name,score\na,1')[0]?.anomalous).toBeUndefined();
});

test.each([
  ['no column of scores', 'name,value\na,1\n', /no column score; its first line has "name, value"/],
  ['nothing', '', /no column name and score/],
  ['a score that is none', 'name,score\na,1\nb,high\n', /line 3: score "high"; expected a finite number/],
  ['no score', 'name,score\na,\n', /line 2: score ""/],
  ['NaN', 'name,score\na,NaN\n', /line 2: score "NaN"/],
  ['an infinite score', 'name,score\na,Infinity\n', /line 2: score "Infinity"/],
  ['an unknown label', 'name,score,label\na,1,2\n', /line 2: label "2"; expected 0 for normal or 1 for anomalous/],
  ['no name', 'name,score\n,1\n', /line 2: name ""/],
])('%s is refused', (_, text, message) => {
  expect(() => read(text)).toThrow(UsageError);
  expect(() => read(text)).toThrow(message);
});

test('a file that is not there is refused', () => {
  expect(() => readScoreList(path.join(folder, 'none.csv'))).toThrow(/none.csv: cannot be read \(ENOENT\)/);
});
