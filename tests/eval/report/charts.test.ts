import * as fc from 'fast-check';
import { ChartFrame, niceTicks } from '../../../eval/report/chart-frame';
import { curveCharts } from '../../../eval/report/curves';
import { scoreHistograms } from '../../../eval/report/histograms';
import { readMarkup, type Markup } from './markup';
import { categoryOf } from './sample-evaluation';

const attributesOf = ({ attributes }: Markup, element: string, name: string): string[] =>
  attributes.filter((attribute) => attribute.element === element && attribute.name === name).map(({ value }) => value);

describe('the frame of a chart', () => {
  // 100 units from left to right, 100 from bottom to top.
  const frame = new ChartFrame({ width: 156, height: 160, xTicks: [0, 0.5], yTicks: [0, 1], xTitle: 'x', yTitle: 'y' });

  test('values fall between the first tick and the last', () => {
    expect([frame.x(0), frame.x(0.25), frame.x(0.5)]).toEqual([46, 96, 146]);
    expect([frame.y(0), frame.y(1)]).toEqual([124, 24]);
  });

  test('a line is cut where it leaves the frame, not before', () => {
    expect(frame.line([0, 0.5], [0, 1])).toBe('M46 124L146 24');
    expect(frame.line([0, 0.25, 0.75, 1], [0, 0.5, 1, 1])).toBe('M46 124L96 74L146 49');
  });

  test.each([
    [0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0.31, 0.58, 5, [0.3, 0.4, 0.5, 0.6]],
    [0.4321, 0.4328, 5, [0.432, 0.4322, 0.4324, 0.4326, 0.4328]],
  ])('ticks from %d to %d, about %d', (low, high, count, expected) => {
    expect(niceTicks(low, high, count)).toEqual(expected);
  });

  test('ticks rise, cover the range and are neither few nor many', () => {
    const score = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(score, score, (one, other) => {
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const ticks = niceTicks(low, high, 5);
        expect(ticks[0] as number).toBeLessThanOrEqual(low + 1e-9);
        expect(ticks.at(-1) as number).toBeGreaterThanOrEqual(high - 1e-9);
        expect(ticks.every((tick, index) => index === 0 || tick > (ticks[index - 1] as number))).toBe(true);
        expect(ticks.length).toBeGreaterThanOrEqual(2);
        expect(ticks.length).toBeLessThanOrEqual(8);
      }),
    );
  });
});

describe('histograms', () => {
  test('every image is in one bar, normal ones above the line and anomalous ones below', () => {
    const score = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(score, score, (normal, anomalous) => {
        const { text } = readMarkup(scoreHistograms([categoryOf('gear', normal, anomalous)]).markup);
        const total = (what: string): number =>
          [...text.matchAll(new RegExp(`: (\\d+) ${what}`, 'g'))].reduce((sum, [, count]) => sum + Number(count), 0);
        expect(total('normal')).toBe(normal.length);
        expect(total('anomalous')).toBe(anomalous.length);
      }),
      { numRuns: 50 },
    );
  });

  test('bars stay within the picture, and their length is their share of the highest', () => {
    const markup = readMarkup(scoreHistograms([categoryOf('gear', [0, 0, 0, 0], [1, 1])]).markup);
    expect(attributesOf(markup, 'rect', 'height')).toEqual(['50', '25']);
    expect(attributesOf(markup, 'rect', 'y')).toEqual(['9', '61']);
    const [left, right] = attributesOf(markup, 'rect', 'x').map(Number) as [number, number];
    expect(left).toBe(8);
    expect(right + Number(attributesOf(markup, 'rect', 'width')[1])).toBeLessThanOrEqual(252);
  });

  test('what the best threshold gets wrong, in words', () => {
    // From 0.5 on: F1 is 6/7; lower ones take in more false alarms than finds.
    const markup = readMarkup(
      scoreHistograms([categoryOf('gear', [0.1, 0.2, 0.3, 0.6], [0.05, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99])]).markup,
    );
    expect(attributesOf(markup, 'svg', 'aria-label')).toEqual([
      'Scores of gear: at or above 0.500: 1 of 7 missed, 1 of 4 false alarms',
    ]);
    expect(markup.text).toMatch(
      /anomalous at or above 0\.500\s+called anomalouscalled normal\s+anomalous61\s+normal13\s+precision 85\.7 · recall 85\.7 · F1 85\.7/,
    );
    expect(readMarkup(scoreHistograms([categoryOf('cup', [0.1, 0.2], [])]).markup).text).toContain(
      '2 normal, 0 anomalous',
    );
  });

  test('one scale for all categories, also where all scores are equal or there are none', () => {
    const both = readMarkup(scoreHistograms([categoryOf('a', [0.1], [0.2]), categoryOf('b', [0.8], [0.9])]).markup);
    const ticks = attributesOf(both, 'path', 'd').filter((path) => path.startsWith('M8 8V'));
    expect(ticks).toHaveLength(2);
    expect(ticks[0]).toBe(ticks[1]);
    expect(
      attributesOf(readMarkup(scoreHistograms([categoryOf('a', [0.5], [0.5])]).markup), 'rect', 'x').every((x) =>
        Number.isFinite(Number(x)),
      ),
    ).toBe(true);
    expect(readMarkup(scoreHistograms([{ ...categoryOf('a', [], []) }]).markup).text).toContain('No image was scored');
  });
});

describe('curves', () => {
  const categories = [
    categoryOf('gear', [0.1, 0.2, 0.3], [0.25, 0.8]),
    categoryOf('cable', [0.1, 0.6], [0.2, 0.3]),
    categoryOf('cup', [0.1], []),
  ];
  const markup = readMarkup(curveCharts(categories).markup);

  test('a line for each category in each chart where it is defined, named with its value', () => {
    expect(attributesOf(markup, 'path', 'id')).toEqual(
      ['image-roc', 'image-pr', 'pixel-roc', 'pixel-pr', 'pixel-pro'].flatMap((panel) => [`${panel}-0`, `${panel}-1`]),
    );
    expect(markup.text).toContain('gear: 83.3');
    expect(attributesOf(markup, 'g', 'class').filter((name) => name.includes('lowest'))).toHaveLength(5);
    const lowest = (page: Markup): string | undefined =>
      attributesOf(page, 'g', 'class').find((name) => name.includes('lowest'));
    expect(lowest(markup)).toBe('curve c1 lowest');
    expect(lowest(readMarkup(curveCharts([...categories].reverse()).markup))).toBe('curve c1 lowest');
    expect(lowest(readMarkup(curveCharts([categories[1], categories[0]].flatMap((of) => of ?? [])).markup))).toBe(
      'curve c0 lowest',
    );
  });

  test('the image ROC of a hand-worked case: up one half, right one third, up, right', () => {
    // gear: 0.8 anomalous, 0.3 normal, 0.25 anomalous, then two normal ones. Axes: x 46 to 310, y 264 to 24.
    const path = markup.attributes.find(
      ({ element, name }, index, all) => element === 'path' && name === 'd' && all[index - 1]?.value === 'image-roc-0',
    );
    expect(path?.value).toBe('M46 264L46 144L134 144L134 24L310 24');
  });

  test('image precision and recall of a hand-worked case', () => {
    // gear: recall 1/2 at precision 1 (0.8), recall 1 at precision 2/3 (0.25 below one of the normal ones). x 46 to 310, y 264 to 24.
    const path = markup.attributes.find(
      ({ element, name }, index, all) => element === 'path' && name === 'd' && all[index - 1]?.value === 'image-pr-0',
    );
    expect(path?.value).toBe('M46 24L178 24L310 104');
  });

  test('two sets on one page share no id', () => {
    const ids = (scope: string): string[] =>
      readMarkup(curveCharts(categories, scope).markup)
        .attributes.filter(({ name }) => name === 'id')
        .map(({ value }) => value);
    expect(new Set([...ids('a-'), ...ids('b-')]).size).toBe(2 * ids('').length);
    expect(
      attributesOf(readMarkup(curveCharts(categories, 'a-').markup), 'use', 'href').every((href) =>
        ids('a-').includes(href.slice(1)),
      ),
    ).toBe(true);
  });

  test('every category can be brought forward by keyboard', () => {
    expect(attributesOf(markup, 'input', 'type')).toEqual(['radio', 'radio', 'radio', 'radio']);
    expect(attributesOf(markup, 'label', 'for')).toEqual(['pick-all', 'pick-0', 'pick-1', 'pick-2']);
  });
});
