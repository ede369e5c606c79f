import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { prepareBackend, type BackendInfo } from '../../lib/backend';
import { EventLog } from '../../train/event-log';
import { expectNoLeak } from '../tensors';

let folder: string;
let backend: BackendInfo;

beforeAll(async () => {
  backend = await prepareBackend();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'crane-events-'));
});

afterAll(() => fs.rmSync(folder, { recursive: true }));

interface ScalarEvent {
  readonly tag: string;
  readonly step: number;
  readonly value: number;
}

/** Scalars of a TensorBoard event file: records of length, checksum, protocol buffer, checksum. */
function readEvents(file: string): ScalarEvent[] {
  const bytes = fs.readFileSync(file);
  const events: ScalarEvent[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = Number(bytes.readBigUInt64LE(at));
    const fields = readFields(bytes.subarray(at + 12, at + 12 + length));
    const summary = fields.get(5)?.[0];
    for (const value of (summary instanceof Buffer && readFields(summary).get(1)) || []) {
      const parts = readFields(value as Buffer);
      events.push({ tag: String(parts.get(1)?.[0]), step: Number(fields.get(2)?.[0] ?? 0), value: scalarOf(parts) });
    }
    at += 16 + length;
  }
  return events;
}

/** `simple_value`, or a tensor of one float. */
function scalarOf(value: ReturnType<typeof readFields>): number {
  const simple = value.get(2)?.[0];
  if (simple instanceof Buffer) return simple.readFloatLE();
  const tensor = readFields(value.get(8)?.[0] as Buffer);
  return ((tensor.get(5) ?? tensor.get(4))?.[0] as Buffer).readFloatLE();
}

function readFields(bytes: Buffer): Map<number, (Buffer | bigint)[]> {
  const fields = new Map<number, (Buffer | bigint)[]>();
  let at = 0;
  const varint = (): bigint => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = bytes[at++] as number;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
      shift += 7n;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const kind = key & 7;
    const length = kind === 1 ? 8 : kind === 5 ? 4 : kind === 2 ? Number(varint()) : 0;
    const value = kind === 0 ? varint() : bytes.subarray(at, at + length);
    at += length;
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

const line = { step: 7, epoch: 2, total: 1.5, focal: 0.25, dice: 1, image: 1.25, images: 4, seconds: 0.1 };
const epoch = {
  epoch: 2,
  total: 2.5,
  focal: 0.5,
  dice: 1.5,
  image: 2.5,
  file: null,
  validation: { 'image/auroc': 0.75, 'pixel/auroc': null } as never,
};

test('losses and metrics stand in event files of TensorBoard, in a folder that may be begun anew; other backends have none', async () => {
  const place = path.join(folder, 'tensorboard');
  for (let round = 0; round < 2; round++) {
    const file = await expectNoLeak(async () => {
      const events = await EventLog.open(place);
      if (events === null) return undefined;
      events.step(line);
      events.epoch(epoch);
      events.close();
      const names = fs.readdirSync(place);
      expect(names).toHaveLength(1);
      return path.join(place, names[0] as string);
    });
    expect(file === undefined).toBe(backend.name !== 'tensorflow');
    if (file === undefined) return;
    expect(readEvents(file)).toEqual([
      ...(['total', 'focal', 'dice', 'image'] as const).map((name) => ({
        tag: `step/${name}`,
        step: 7,
        value: line[name],
      })),
      ...(['total', 'focal', 'dice', 'image'] as const).map((name) => ({
        tag: `epoch/${name}`,
        step: 2,
        value: epoch[name],
      })),
      { tag: 'validation/image/auroc', step: 2, value: 0.75 },
    ]);
    expect(fs.readdirSync(folder)).toEqual(['tensorboard']);
    fs.rmSync(file);
  }
});
