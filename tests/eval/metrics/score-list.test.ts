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

test('labels are those of set lists, in words and numbers', () => {
  const labels = (...words: string[]): unknown[] =>
    read(`name,score,label\n${words.map((word, at) => `${at},1,${word}\n`).join('')}`).map(
      ({ anomalous }) => anomalous,
    );
  expect(labels('0.0', 'ok', 'GOOD', 'normal', '-1', 'False', 'no', '0', '00')).toEqual(Array(9).fill(false));
  expect(labels('1.0', 'ng', 'NOK', 'anomaly', 'bad', 'TRUE', 'yes', '1', '1e0')).toEqual(Array(9).fill(true));
});

test.each([
  ['a byte order mark, CRLF and quotes', '\uFEFFname,score,label\r\n"a",0.5,1\r\n'],
  ['semicolons', 'name;score;label\na;0.5;1\n'],
  ['tabs', 'name\tscore\tlabel\na\t0.5\t1'],
  ['line ends of CR alone', 'name,score,label\ra,0.5,1\r'],
  ['other case and order, and more columns', 'Label, Category ,SCORE,Name\nng,x,5e-1,a\n'],
  ['the columns of lists of images', 'image_path,anomalous,defect,score\na,true,scratch,.5\n'],
  ['the columns that programs write', 'path,category,defect,anomalous,score\na.png,x,good,1,+0.5\n'],
])('%s', (_, text) => {
  expect(read(text)).toEqual([
    { name: expect.stringMatching(/^a(\.png)?$/) as string, parts: ['a'], line: 2, score: 0.5, anomalous: true },
  ]);
});

test('UTF-16, as spreadsheets write it', () => {
  fs.writeFileSync(file, Buffer.from('\uFEFFname\tscore\tlabel\r\nGerät\t0.5\tgood\r\n', 'utf16le'));
  expect(readScoreList(file)).toEqual([{ name: 'Gerät', parts: ['Gerät'], line: 2, score: 0.5, anomalous: false }]);
});

test('names and columns of built-in properties are like any others', () => {
  expect(
    read('__proto__,name,score\nx,constructor,1\ny,__proto__,2\n').map(({ name, score }) => [name, score]),
  ).toEqual([
    ['constructor', 1],
    ['__proto__', 2],
  ]);
});

test.each([
  ['no column of scores', 'name,value\na,1\n', /no column score; its first line has "name, value"/],
  ['nothing', '', /no column name and score/],
  ['a header alone', 'name,score\n', /has no line below its header/],
  ['a score that is none', 'name,score\na,1\nb,high\n', /line 3: score "high"; expected a finite number/],
  ['no score', 'name,score\na,\n', /line 2: score ""/],
  ['NaN', 'name,score\na,NaN\n', /line 2: score "NaN"/],
  ['an infinite score', 'name,score\na,Infinity\n', /line 2: score "Infinity"/],
  ['an unknown label', 'name,score,label\na,1,2\n', /line 2: label "2"; expected 0 for normal or 1 for anomalous/],
  ['a score beyond float64', 'name,score\na,1e400\n', /line 2: score "1e400"; expected a finite number/],
  [
    'a score with a decimal comma',
    'name;score\na;0,5\n',
    /line 2: score "0,5"; expected a finite number, with a decimal point/,
  ],
  ['a decimal comma between commas', 'name,score\na,0,5\n', /line 2: fields behind the last column, "5"/],
  ['a score in hexadecimal', 'name,score\na,0x10\n', /line 2: score "0x10"/],
  ['the name of a built-in property as label', 'name,score,label\na,1,constructor\n', /line 2: label "constructor"/],
  ['a kind of defect as label', 'name,score,label\na,1,scratch\n', /line 2: label "scratch"/],
  ['two columns of scores', 'name,score,Score\na,1,2\n', /its first line has the column score twice/],
  ['no header', 'a,0.5\nb,0.6\n', /no column name and score; its first line has "a, 0.5"/],
  ['a quote that does not end', 'name,score\n"a,1\nb,2\n', /line 2: score ""/],
  ['escape sequences in a name', 'name,score\na,\x1b[31m\n', /score "\\u001b\[31m"/],
  ['no name', 'name,score\n,1\n', /line 2: name ""/],
])('%s is refused', (_, text, message) => {
  expect(() => read(text)).toThrow(UsageError);
  expect(() => read(text)).toThrow(message);
});

test('a file that is not there is refused', () => {
  expect(() => readScoreList(path.join(folder, 'none.csv'))).toThrow(
    /none.csv'`: \S*none.csv cannot be read: it is not a file/,
  );
});
