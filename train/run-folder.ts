import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { makeFolderSync } from '../lib/files/make-folder';
import { writeFileAtomicallySync } from '../lib/files/atomic-file';
import { CraneError, TrainingError } from '../lib/errors';
import { withFileLock } from '../lib/files/file-lock';
import { isAlive } from '../lib/files/living-process';

const LOCK = 'run.lock';
/** A process id that no process has. */
const NOBODY = 2 ** 31 - 1;
/** All files that a run writes; everything else in its folder must be left alone. */
const OWN_FILES = [
  /^epoch_\d+\.safetensors$/,
  /^(prompts|best|state)\.safetensors$/,
  /^run\.json$/,
  /^config\.yaml$/,
  /^losses\.jsonl$/,
  /^curves\.html$/,
  /^diverged\.json$/,
];
const EVENT_FILE = /^events\.out\.tfevents\./;

/** The folder of a training run: where each file is, and how it is written. */
export class RunFolder {
  readonly prompts: string;
  readonly best: string;
  readonly state: string;
  readonly record: string;
  readonly config: string;
  readonly losses: string;
  readonly curves: string;
  readonly diverged: string;
  /** Folder of TensorBoard event files. */
  readonly events: string;

  constructor(readonly root: string) {
    this.prompts = this.file('prompts.safetensors');
    this.best = this.file('best.safetensors');
    this.state = this.file('state.safetensors');
    this.record = this.file('run.json');
    this.config = this.file('config.yaml');
    this.losses = this.file('losses.jsonl');
    this.curves = this.file('curves.html');
    this.diverged = this.file('diverged.json');
    this.events = this.file('tensorboard');
  }

  epoch(epoch: number): string {
    return this.file(`epoch_${epoch}.safetensors`);
  }

  private file(name: string): string {
    return path.join(this.root, name);
  }

  /**
   * Runs `body` while no other run can use this folder, after removing incomplete files of a killed one.
   * @throws TrainingError `training/busy` if another run is using the folder, `training/unwritable`
   */
  async locked<T>(body: () => Promise<T>): Promise<T> {
    this.make();
    const onWait = (holder: { readonly pid: number; readonly host: string } | null): never => {
      const who = holder === null ? '' : ` (process ${holder.pid} on ${holder.host})`;
      throw new TrainingError(
        'training/busy',
        `another run${who} is using ${this.root}; wait for it to end, or choose another folder with \`out\``,
        { folder: this.root, holder },
      );
    };
    try {
      return await withFileLock(
        this.file(LOCK),
        async () => {
          this.removeLeftovers();
          return await body();
        },
        { onWait },
      );
    } catch (error) {
      throw error instanceof CraneError && error.code === 'lock/failed'
        ? unwritable(this.file(LOCK), error, null)
        : error;
    }
  }

  /** Removes everything that an earlier run wrote here, so that none of it is mistaken for output of the next run. */
  clear(): void {
    for (const entry of fs.readdirSync(this.root, { withFileTypes: true })) {
      if (entry.isFile() && OWN_FILES.some((pattern) => pattern.test(entry.name)))
        fs.rmSync(this.file(entry.name), { force: true });
    }
    this.clearEvents();
  }

  clearEvents(): void {
    for (const name of listed(this.events)) {
      if (EVENT_FILE.test(name)) fs.rmSync(path.join(this.events, name), { force: true });
    }
    if (fs.existsSync(this.events) && listed(this.events).length === 0) fs.rmdirSync(this.events);
  }

  /**
   * Writes text atomically.
   * @throws TrainingError `training/unwritable`
   */
  write(file: string, text: string): void {
    this.writing(file, () => writeFileAtomicallySync(file, (append) => append(Buffer.from(text))));
  }

  /**
   * Runs a function that writes a file of this folder; the error names the file if that fails.
   * @throws TrainingError `training/unwritable`
   */
  writing<T>(file: string, write: () => T): T {
    try {
      return write();
    } catch (error) {
      if (error instanceof TrainingError) throw error;
      throw unwritable(file, error, fs.existsSync(this.state) ? this.root : null);
    }
  }

  private make(): void {
    try {
      makeFolderSync(this.root);
    } catch (error) {
      throw unwritable(this.root, error, null);
    }
  }

  /** Removes temporary files and lock drafts of killed processes. Called while the lock is held. */
  private removeLeftovers(): void {
    for (const name of listed(this.root)) {
      const isTemporary = /\.\d+\.[0-9a-f]{8}\.partial$/.test(name);
      const isDraft = name.startsWith(`${LOCK}.`) && !isAlive(draftOwner(this.file(name)) ?? NOBODY);
      if (isTemporary || isDraft) fs.rmSync(this.file(name), { force: true, recursive: true });
    }
  }
}

function listed(folder: string): string[] {
  return fs.existsSync(folder) ? fs.readdirSync(folder) : [];
}

function draftOwner(file: string): number | null {
  try {
    const { pid, host } = JSON.parse(fs.readFileSync(file, 'utf8')) as { pid?: number; host?: string };
    return typeof pid === 'number' && host === os.hostname() ? pid : null;
  } catch {
    return null;
  }
}

/** @param resumable the run's folder if it contains a saved state */
function unwritable(file: string, error: unknown, resumable: string | null): TrainingError {
  const code = codeOf(error);
  const full = code === 'ENOSPC' || code === 'EDQUOT' || /no space left/i.test(code);
  const reason = full ? 'the disk is full' : `cannot be written (${code})`;
  const advice = full ? 'Free some space' : 'Check the folder, its permissions and the free space';
  const after = resumable === null ? '.' : `; the last checkpoint is complete: resume with \`resume: '${resumable}'\`.`;
  return new TrainingError(
    'training/unwritable',
    `${file}: ${reason}. ${advice}${after}`,
    { file, code },
    { cause: error },
  );
}

/** The system's error code; writers of weights wrap it in their own errors. */
function codeOf(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const { code, syscall } = at as NodeJS.ErrnoException;
    if (code !== undefined && syscall !== undefined) return code;
  }
  return error instanceof Error ? error.message : String(error);
}
