import * as vm from 'node:vm';
import { SORTING_SCRIPT } from '../../../eval/report/sorting';

/** As much of a document as the script touches. Nodes have one parent: what is added somewhere leaves its old place. */
class FakeNode {
  parent: FakeElement | undefined;
  constructor(private readonly text: string) {}
  get textContent(): string {
    return this.text;
  }
}

class FakeElement extends FakeNode {
  readonly attributes = new Map<string, string>();
  readonly dataset: Record<string, string> = {};
  readonly childNodes: FakeNode[] = [];
  type = '';
  private readonly listeners: (() => void)[] = [];

  constructor(...nodes: FakeNode[]) {
    super('');
    this.append(...nodes);
  }
  append(...nodes: FakeNode[]): void {
    for (const node of nodes) {
      node.parent?.childNodes.splice(node.parent.childNodes.indexOf(node), 1);
      node.parent = this;
      this.childNodes.push(node);
    }
  }
  get cells(): FakeElement[] {
    return this.childNodes as FakeElement[];
  }
  get rows(): FakeElement[] {
    return this.childNodes as FakeElement[];
  }
  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }
  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }
  addEventListener(_: 'click', listener: () => void): void {
    this.listeners.push(listener);
  }
  click(): void {
    this.listeners.forEach((listener) => listener());
  }
  override get textContent(): string {
    return this.childNodes.map((node) => node.textContent).join('');
  }
}

function tableOf(rows: readonly (readonly [string, number, number | null])[]): {
  heads: FakeElement[];
  click: (column: number) => string[];
} {
  const cell = (text: string, value?: string): FakeElement => {
    const made = new FakeElement(new FakeNode(text));
    if (value !== undefined) made.dataset['value'] = value;
    return made;
  };
  const body = new FakeElement(
    ...rows.map(
      ([name, images, metric]) =>
        new FakeElement(
          cell(name),
          cell(String(images)),
          cell(metric === null ? 'n/a' : metric.toFixed(1), metric === null ? '' : String(metric)),
        ),
    ),
  );
  const heads = ['category', 'images', 'I-AUROC'].map((title) => cell(title));
  const buttons: FakeElement[] = [];
  const document = {
    querySelectorAll: () => [{ tHead: { rows: [{ cells: heads }] }, tBodies: [body] }],
    createElement: () => {
      buttons.push(new FakeElement());
      return buttons.at(-1);
    },
  };
  vm.runInNewContext(SORTING_SCRIPT, { document });
  return {
    heads,
    click: (column) => {
      buttons[column]?.click();
      return body.rows.map((row) => row.cells[0]?.textContent ?? '');
    },
  };
}

test('figures fall at the first click and rise at the second; what is not defined stays at the end', () => {
  const { heads, click } = tableOf([
    ['gear', 9, 0.5],
    ['cup', 10, null],
    ['cable', 100, 0.75],
    ['leaf', 2, 0.125],
  ]);
  expect(click(2)).toEqual(['cable', 'gear', 'leaf', 'cup']);
  expect(heads[2]?.getAttribute('aria-sort')).toBe('descending');
  expect(click(2)).toEqual(['leaf', 'gear', 'cable', 'cup']);
  expect(heads[2]?.getAttribute('aria-sort')).toBe('ascending');
});

test('numbers sort as numbers, names from the first letter on, and only one head is marked', () => {
  const { heads, click } = tableOf([
    ['gear', 9, 0.5],
    ['cup', 10, null],
    ['cable', 100, 0.75],
  ]);
  expect(click(1)).toEqual(['cable', 'cup', 'gear']);
  expect(click(0)).toEqual(['cable', 'cup', 'gear']);
  expect(click(0)).toEqual(['gear', 'cup', 'cable']);
  expect(heads.map((head) => head.getAttribute('aria-sort'))).toEqual(['descending', null, null]);
});

test('the heads keep their text, inside a button', () => {
  const { heads } = tableOf([['gear', 9, 0.5]]);
  expect(heads.map(({ childNodes }) => childNodes.map((node) => (node as FakeElement).type))).toEqual([
    ['button'],
    ['button'],
    ['button'],
  ]);
  expect(heads.map(({ textContent }) => textContent)).toEqual(['category', 'images', 'I-AUROC']);
});
