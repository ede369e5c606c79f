import * as fc from 'fast-check';
import * as vm from 'node:vm';
import { confusionAt, scoreList, THRESHOLD_SCRIPT } from '../../../eval/report/threshold';

describe('what a threshold makes of the images', () => {
  test('counts, precision, recall and F1 of a hand-worked case; the threshold itself is called anomalous', () => {
    expect(confusionAt([0.1, 0.2, 0.4, 0.6], [0.3, 0.4, 0.9], 0.4)).toEqual({
      found: 2,
      missed: 1,
      alarms: 2,
      passed: 2,
      precision: 0.5,
      recall: 2 / 3,
      f1: 4 / 7,
    });
  });

  test('beyond all scores nothing is found and precision is not defined; below all, everything', () => {
    expect(confusionAt([0.1], [0.2, 0.3], 0.31)).toEqual({
      found: 0,
      missed: 2,
      alarms: 0,
      passed: 1,
      precision: null,
      recall: 0,
      f1: 0,
    });
    expect(confusionAt([0.1], [0.2, 0.3], 0)).toEqual({
      found: 2,
      missed: 0,
      alarms: 1,
      passed: 0,
      precision: 2 / 3,
      recall: 1,
      f1: 0.8,
    });
    expect(confusionAt([0.1], [], 0.5)).toEqual({
      found: 0,
      missed: 0,
      alarms: 0,
      passed: 1,
      precision: null,
      recall: null,
      f1: null,
    });
  });

  test('as counted one by one, ties included', () => {
    const scores = fc
      .array(fc.integer({ min: 0, max: 12 }), { maxLength: 30 })
      .map((list) => list.map((of) => of / 4).sort((one, other) => one - other));
    fc.assert(
      fc.property(scores, scores, fc.integer({ min: -1, max: 26 }), (normal, anomalous, at) => {
        const threshold = at / 8;
        const counted = confusionAt(normal, anomalous, threshold);
        expect(counted).toMatchObject({
          found: anomalous.filter((score) => score >= threshold).length,
          missed: anomalous.filter((score) => score < threshold).length,
          alarms: normal.filter((score) => score >= threshold).length,
          passed: normal.filter((score) => score < threshold).length,
        });
        const { precision, recall, f1 } = counted;
        if (precision && recall) expect(f1).toBeCloseTo((2 * precision * recall) / (precision + recall), 12);
      }),
    );
  });

  test('lists of scores rise and tell single-precision scores apart', () => {
    expect(scoreList([0.5, 0.25, 1e-9, 0.1])).toBe('1e-9 0.1 0.25 0.5');
    const single = fc.float({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(single, (score) => expect(Math.fround(Number(scoreList([score])))).toBe(score === 0 ? 0 : score)),
    );
  });
});

/** As much of an element as the script touches. */
class FakeElement {
  dataset: Record<string, string> = {};
  readonly attributes = new Map<string, string>();
  readonly children: FakeElement[] = [];
  readonly following: FakeElement[] = [];
  textContent = '';
  value: number | string = '';
  disabled = false;
  focused = false;
  private readonly listeners = new Map<string, () => void>();
  constructor(private readonly found: Readonly<Record<string, FakeElement[]>> = {}) {}
  querySelectorAll(selector: string): FakeElement[] {
    return this.found[selector] ?? [];
  }
  querySelector(selector: string): FakeElement | null {
    return this.found[selector]?.[0] ?? null;
  }
  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  addEventListener(name: string, listener: () => void): void {
    this.listeners.set(name, listener);
  }
  append(child: FakeElement): void {
    this.children.push(child);
  }
  after(next: FakeElement): void {
    this.following.push(next);
  }
  focus(): void {
    this.focused = true;
  }
  fire(name: string): void {
    this.listeners.get(name)?.();
  }
}

describe('the slider', () => {
  const shown = (name: string): FakeElement => Object.assign(new FakeElement(), { dataset: { show: name } });
  const setUp = (): { slider: FakeElement; back: FakeElement; line: FakeElement; text: (name: string) => string } => {
    const places = ['threshold', 'found', 'missed', 'alarms', 'passed', 'precision', 'recall', 'f1'].map(shown);
    const [line, chart, verdict] = [new FakeElement(), new FakeElement(), new FakeElement()];
    const figure = new FakeElement({
      '.threshold': [line],
      '.chart': [chart],
      '.verdict': [verdict],
      '[data-show]': places,
    });
    figure.dataset = {
      label: 'gear',
      threshold: '0.5',
      low: '0',
      high: '1',
      width: '244',
      normal: '0.1 0.2 0.6',
      anomalous: '0.3 0.5 0.7 0.9',
    };
    vm.runInNewContext(THRESHOLD_SCRIPT, {
      document: { querySelectorAll: () => [figure], createElement: () => new FakeElement() },
    });
    return {
      slider: chart.following[0] as FakeElement,
      back: verdict.children[0] as FakeElement,
      line,
      text: (name) => String(places.find(({ dataset }) => dataset['show'] === name)?.textContent),
    };
  };

  test('begins at the best threshold, and says so to those who cannot see it', () => {
    const { slider, back, line, text } = setUp();
    expect(['threshold', 'found', 'missed', 'alarms', 'passed', 'precision', 'recall', 'f1'].map(text)).toEqual([
      '0.500',
      '3',
      '1',
      '1',
      '2',
      '75.0',
      '75.0',
      '75.0',
    ]);
    expect(slider).toMatchObject({ type: 'range', min: 0, max: 1, value: 0.5 });
    expect(slider.attributes.get('aria-label')).toBe('Threshold for gear');
    expect(slider.attributes.get('aria-valuetext')).toBe('0.500: 1 missed, 1 false alarms, F1 75.0');
    expect(line.attributes.get('transform')).toBe('translate(0 0)');
    expect(back.disabled).toBe(true);
  });

  test('moves the line and counts anew; the button leads back', () => {
    const { slider, back, line, text } = setUp();
    slider.value = '0.75';
    slider.fire('input');
    expect(['threshold', 'found', 'missed', 'alarms', 'passed', 'precision', 'recall', 'f1'].map(text)).toEqual([
      '0.750',
      '1',
      '3',
      '0',
      '3',
      '100.0',
      '25.0',
      '40.0',
    ]);
    expect(line.attributes.get('transform')).toBe('translate(61 0)');
    expect(back.disabled).toBe(false);
    slider.value = '1';
    slider.fire('input');
    expect(text('precision')).toBe('n/a');
    back.fire('click');
    expect([text('threshold'), text('found'), slider.value, slider.focused]).toEqual(['0.500', '3', 0.5, true]);
  });
});
