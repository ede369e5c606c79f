import { Worker } from 'node:worker_threads';

type Listener = (message: unknown) => void;

export interface WasmThreadOptions {
  /** The program of the thread, as text. */
  readonly program: string;
  /** The folder that the program's relative files are in. */
  readonly folder: string;
  /** Called where the thread fails before it has loaded, and where it ends. */
  readonly onEnd: (error: Error) => void;
}

/**
 * What the threaded build takes for a `Worker`. The thread itself starts with the first message, so one that is never
 * used costs nothing; and it never keeps the process from ending once it has loaded.
 */
export class WasmThread {
  private worker: Worker | null = null;
  private loaded = false;
  private readonly listeners: Listener[] = [];

  constructor(private readonly options: WasmThreadOptions) {}

  /** Only messages: the end of a thread is reported to `onEnd`. */
  on(event: string, listener: Listener): this {
    if (event === 'message') this.listeners.push(listener);
    return this;
  }

  postMessage(message: unknown): void {
    this.worker ??= this.start();
    this.worker.postMessage(message);
  }

  private start(): Worker {
    const { program, folder, onEnd } = this.options;
    // The script that the program loads asks for the folder by this name. Options of this process, such as those that
    // load a compiler into every thread, are not for this one.
    const worker = new Worker(`global.__dirname = ${JSON.stringify(folder)};\n${program}`, {
      eval: true,
      execArgv: [],
    });
    worker.on('error', (error) => {
      // Once it takes part in operations, those would wait for it forever.
      if (this.loaded) throw error;
      onEnd(error);
    });
    worker.on('exit', (code) => onEnd(new Error(`a thread has ended, with code ${code}`)));
    worker.on('message', (message) => this.listeners.forEach((listener) => listener(message)));
    return worker;
  }

  /** The build holds the process for threads that it runs; here they wait for work, and nobody waits for them. */
  ref(): void {}

  /** Called when the thread has loaded. */
  unref(): void {
    this.loaded = true;
    this.worker?.unref();
  }

  terminate(): void {
    void this.worker?.terminate();
  }
}
