import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { NATIVE_PACKAGE } from '../lib/backend/native';
import type { EpochRecord } from './epoch-record';
import type { StepLine } from './step-log';

/** The part of tfjs-node's writer that is used. */
interface SummaryWriter {
  readonly resourceHandle: tf.Tensor;
  scalar(name: string, value: number, step: number): void;
  flush(): void;
}

interface NativePackage {
  readonly node: { summaryFileWriter(folder: string): SummaryWriter };
}

/** Losses and metrics as TensorBoard event files. Only the native backend can write them. */
export class EventLog {
  private constructor(private readonly writer: SummaryWriter) {}

  /**
   * Starts new event files; a resumed run writes its earlier steps again, so that each step appears once.
   * @param folder may exist if empty
   * @returns null with any other backend
   */
  static async open(folder: string): Promise<EventLog | null> {
    if (tf.getBackend() !== 'tensorflow') return null;
    const { node } = (await import(NATIVE_PACKAGE)) as NativePackage;
    // For the same folder, tfjs-node returns the same writer again even if its file is gone. So every run gets its own
    // folder, which is moved into place while the file is open.
    const made = `${folder}.${process.pid}.${randomUUID().slice(0, 8)}.partial`;
    let writer: SummaryWriter | undefined;
    tf.tidy(() => {
      writer = node.summaryFileWriter(made);
      tf.keep(writer.resourceHandle);
    });
    if (fs.existsSync(folder)) fs.rmdirSync(folder);
    fs.renameSync(made, folder);
    return new EventLog(writer as unknown as SummaryWriter);
  }

  step({ step, total, focal, dice, image }: StepLine): void {
    for (const [name, value] of Object.entries({ total, focal, dice, image }))
      this.writer.scalar(`step/${name}`, value, step);
  }

  epoch({ epoch, total, focal, dice, image, validation }: EpochRecord): void {
    for (const [name, value] of Object.entries({ total, focal, dice, image }))
      this.writer.scalar(`epoch/${name}`, value, epoch);
    for (const [name, value] of Object.entries(validation ?? {})) {
      if (value !== null) this.writer.scalar(`validation/${name}`, value, epoch);
    }
  }

  flush(): void {
    this.writer.flush();
  }

  close(): void {
    this.writer.flush();
    this.writer.resourceHandle.dispose();
  }
}
