import fc from 'fast-check';
import { FileArrivals } from '../../lib/image/file-arrivals';

const SETTLE = 200;
const PATIENCE = 3000;
const arrivals = (): FileArrivals => new FileArrivals(SETTLE, PATIENCE);
const stamp = (size: number, modified = 0): { size: number; modified: number } => ({ size, modified });

describe('FileArrivals', () => {
  test('a file is whole once it was seen unchanged over the time it takes to settle, and is taken once', () => {
    const files = arrivals();
    files.see('a', stamp(10), 1000);
    expect(files.take()).toBeUndefined();
    files.see('a', stamp(10), 1000 + SETTLE - 1);
    expect(files.take()).toBeUndefined();
    files.see('a', stamp(10), 1000 + SETTLE);
    expect(files.waiting).toBe(1);
    expect(files.take()).toBe('a');
    expect(files.sinceOf('a')).toBe(1000);
    expect([files.take(), files.waiting]).toEqual([undefined, 0]);
    files.see('a', stamp(10), 9000);
    expect(files.take()).toBeUndefined();
  });

  test('a file that grows, or is written anew at the same size, starts to settle again', () => {
    for (const later of [stamp(11), stamp(10, 1)]) {
      const files = arrivals();
      files.see('a', stamp(10), 0);
      files.see('a', later, SETTLE);
      expect(files.take()).toBeUndefined();
      files.see('a', later, 2 * SETTLE);
      expect(files.take()).toBe('a');
    }
  });

  test('a file that changed after it was taken is taken again, behind those that came meanwhile', () => {
    const files = arrivals();
    files.see('a', stamp(1), 0);
    files.see('a', stamp(1), SETTLE);
    expect(files.take()).toBe('a');
    files.see('b', stamp(1), 300);
    files.see('a', stamp(2), 400);
    expect(files.sinceOf('a')).toBeUndefined();
    files.see('a', stamp(2), 700);
    files.see('b', stamp(1), 700);
    expect([files.take(), files.take(), files.take()]).toEqual(['b', 'a', undefined]);
  });

  test('a file that is still growing holds no other up', () => {
    const files = arrivals();
    files.see('growing', stamp(1), 0);
    files.see('whole', stamp(1), 10);
    files.see('growing', stamp(2), 300);
    files.see('whole', stamp(1), 300);
    expect(files.take()).toBe('whole');
    expect(files.take()).toBeUndefined();
  });

  test('files are due when they may have settled', () => {
    const files = arrivals();
    expect(files.nextDue()).toBe(Infinity);
    files.see('a', stamp(1), 100);
    files.see('b', stamp(1), 150);
    expect(files.nextDue()).toBe(100 + SETTLE);
    expect(files.due(100 + SETTLE)).toEqual(['a']);
    expect(files.due(150 + SETTLE)).toEqual(['a', 'b']);
  });

  test('one that cannot be read is doubted until patience ends, from when it was first seen so', () => {
    const files = arrivals();
    files.see('a', stamp(1), 0);
    files.see('a', stamp(1), SETTLE);
    files.take();
    expect(files.doubt('a', stamp(1), SETTLE + 50)).toBe(true);
    expect(files.take()).toBeUndefined();
    expect(files.nextDue()).toBe(PATIENCE);
    files.see('a', stamp(1), PATIENCE);
    expect(files.take()).toBe('a');
    expect(files.doubt('a', stamp(1), PATIENCE + 1)).toBe(false);
    files.see('a', stamp(1), 2 * PATIENCE);
    expect(files.take()).toBeUndefined();
  });

  test('one that has changed since it was taken is no failure at all, however long it was there', () => {
    const files = arrivals();
    files.see('a', stamp(1), 0);
    files.see('a', stamp(1), 10 * PATIENCE);
    files.take();
    expect(files.doubt('a', stamp(2), 10 * PATIENCE)).toBe(true);
    files.see('a', stamp(2), 10 * PATIENCE + SETTLE);
    expect(files.take()).toBe('a');
  });

  test('one that was there long before it was taken is broken at once', () => {
    const files = arrivals();
    files.see('a', stamp(1), 0);
    files.see('a', stamp(1), PATIENCE);
    files.take();
    expect(files.doubt('a', stamp(1), PATIENCE)).toBe(false);
  });

  test('a file that went before its turn is not taken; one that was taken comes anew only after it was forgotten', () => {
    const files = arrivals();
    files.see('a', stamp(1), 0);
    files.see('b', stamp(1), 0);
    files.see('b', stamp(1), SETTLE);
    files.take();
    files.miss('a');
    files.miss('b');
    files.forget(SETTLE);
    files.see('b', stamp(1), 1000);
    expect([files.waiting, files.take()]).toEqual([0, undefined]);
    files.forget(1001);
    files.see('b', stamp(1), 2000);
    files.see('b', stamp(1), 2000 + SETTLE);
    expect(files.take()).toBe('b');
  });

  test('one that is passed over is taken when it changes', () => {
    const files = arrivals();
    files.pass('a', stamp(1), 0);
    files.see('a', stamp(1), 1000);
    expect(files.take()).toBeUndefined();
    files.see('a', stamp(2), 1000);
    files.see('a', stamp(2), 1000 + SETTLE);
    expect(files.take()).toBe('a');
  });

  test('whatever happens, a file is taken as often as it settled after a change', () => {
    // A slow account of one file: pairs of time passed and whether it changed then.
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 400 }), fc.boolean()), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (history) => {
        const files = arrivals();
        let [now, size, since, settled] = [0, 0, 0, false];
        files.see('a', stamp(size), now);
        for (const [passed, changes] of history) {
          now += passed;
          if (changes) [size, since, settled] = [size + 1, now, false];
          files.see('a', stamp(size), now);
          const expected = !settled && now - since >= SETTLE;
          settled ||= expected;
          expect(files.take()).toBe(expected ? 'a' : undefined);
        }
      }),
    );
  });
});
