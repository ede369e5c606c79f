import * as fc from 'fast-check';
import { barChart } from '../../../eval/report/bars';
import { radarChart, rings } from '../../../eval/report/radar';
import { demoted, html } from '../../../eval/report/html';
import { readMarkup, type Markup } from './markup';

const attributesOf = ({ attributes }: Markup, element: string, name: string): string[] =>
  attributes.filter((attribute) => attribute.element === element && attribute.name === name).map(({ value }) => value);

describe('radar pictures', () => {
  const draw = (values: readonly (number | null)[], printed = false): Markup =>
    readMarkup(
      radarChart({
        axes: ['up', 'right', 'down', 'left'],
        series: [{ name: 'crane', values, place: 0, printed }],
        description: 'a radar',
      }).markup,
    );
  const outline = (markup: Markup): string => attributesOf(markup, 'path', 'd')[1] as string;

  test('a hand-worked case: the centre is 220 175, the outer ring 146 away, the inner end at 60', () => {
    // Rings from 0.6: 1 is at 146, 0.8 at 73.
    expect(outline(draw([1, 0.8, 0.7, 0.9]))).toBe('M220 29L293 175L220 211.5L110.5 175Z');
  });

  test('a gap opens the way and joins nothing across it', () => {
    expect(outline(draw([1, null, 0.7, 0.9]))).toBe('M220 211.5L110.5 175L220 29');
    expect(outline(draw([1, null, 0.7, null]))).toBe('M220 211.5M220 29');
    expect(outline(draw([null, null, null, null]))).toBe('');
  });

  test('measured values have points that say what they are, printed ones have none', () => {
    expect(draw([1, 0.8, 0.7, null]).text).toContain('crane, right: 80.0');
    expect(attributesOf(draw([1, 0.8, 0.7, null]), 'circle', 'cx')).toHaveLength(3);
    expect(attributesOf(draw([1, 0.8, 0.7, null], true), 'circle', 'cx')).toEqual([]);
  });

  test.each([
    [0.93, 0.7, 0.1],
    [0.8, 0.7, 0.1],
    [0.7, 0.6, 0.1],
    [0.65, 0.4, 0.2],
    [0.34, 0.2, 0.2],
    [0.05, 0, 0.2],
  ])('where the smallest value is %d, rings begin at %d and are %d apart', (smallest, low, step) => {
    expect(rings(smallest).low).toBeCloseTo(low, 9);
    expect(rings(smallest).step).toBe(step);
  });

  test('three to five rings, the smallest value outside of the first', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (smallest) => {
        const { low, step } = rings(smallest);
        const count = (1 - low) / step;
        expect(Math.abs(count - Math.round(count))).toBeLessThan(1e-9);
        expect(Math.round(count)).toBeGreaterThanOrEqual(3);
        expect(Math.round(count)).toBeLessThanOrEqual(5);
        expect(low).toBeLessThanOrEqual(smallest);
      }),
    );
  });
});

describe('bar pictures', () => {
  const markup = readMarkup(
    barChart(
      [
        {
          name: 'BTAD',
          bars: [
            { value: 0.5, printed: 0.75 },
            { value: null, printed: null },
          ],
        },
        {
          name: 'a very long name of a set',
          bars: [
            { value: 1, printed: null },
            { value: 0, printed: 1 },
          ],
        },
      ],
      ['crane', 'crane-plus'],
      'bars',
    ).markup,
  );

  test('lengths are values: 264 wide from 96, the mark at the printed figure', () => {
    expect(attributesOf(markup, 'rect', 'width')).toEqual(['132', '264', '0']);
    expect(attributesOf(markup, 'path', 'd').slice(1)).toEqual(['M294 7.5V19.5', 'M360 49.5V61.5']);
  });

  test('what is not defined says so; long names are cut; values and printed figures are told', () => {
    expect(markup.text).toContain('BTAD, crane: 50.0, printed 75.0');
    expect(markup.text).toContain('BTAD, crane-plus: n/a');
    expect(markup.text).toContain('a very long na…');
  });
});

test('headings move down, and text that looks like one stays', () => {
  expect(demoted(html`<h3 class="x">${'<h3>'}</h3><h5>a</h5><hr1>`, 2).markup).toBe(
    '<h5 class="x">&lt;h3&gt;</h5><h6>a</h6><hr1>',
  );
});
