import { leftOutNotes, problemNotes, unreadNotes } from '../../../eval/report/notes';
import { benchmarkOf, metrics, rowOf } from './sample-benchmark';

test('a set stands once for all recipes that left it out alike, with where to get it', () => {
  const get = { source: 'https://visa.example', licence: 'CC BY 4.0', place: '/data/visa' };
  const notes = leftOutNotes(
    benchmarkOf([], {
      leftOut: [
        { recipe: 'crane', name: 'visa', reason: 'absent', message: 'long', get },
        { recipe: 'crane', name: 'castings', reason: 'failed', message: 'two\n  lines' },
        { recipe: 'crane-plus', name: 'visa', reason: 'absent', message: 'long', get },
        { recipe: 'crane-plus', name: 'castings', reason: 'failed', message: 'other' },
      ],
    }),
  );
  expect(notes).toEqual([
    {
      title: 'VisA',
      recipes: ['crane', 'crane-plus'],
      text: 'not on disk; get it from https://visa.example (licence: CC BY 4.0) and unpack it to /data/visa',
    },
    { title: 'castings', recipes: ['crane'], text: 'two lines' },
    { title: 'castings', recipes: ['crane-plus'], text: 'other' },
  ]);
});

test('rows with images that could not be read', () => {
  const failures = [{ path: '/x.png', message: 'cut off' }];
  expect(
    unreadNotes(benchmarkOf([rowOf('crane', 'btad', metrics()), rowOf('crane', 'mvtec', metrics(), { failures })])),
  ).toEqual([{ recipe: 'crane', title: 'MVTEC', failures }]);
});

test('what is wrong with a set stands once, whichever recipes scored it', () => {
  const problems = ['2 of 15 categories', 'it is drawn'];
  const rows = [
    rowOf('crane', 'mvtec', metrics(), { problems }),
    rowOf('crane-plus', 'mvtec', metrics(), { problems }),
    rowOf('crane', 'btad', metrics(), { problems: ['it is drawn'] }),
  ];
  expect(problemNotes(benchmarkOf(rows))).toEqual(problems);
});
