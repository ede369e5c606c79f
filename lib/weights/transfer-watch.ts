/** Aborts when nothing arrives for a while, or when the caller aborts. */
export class IdleWatch {
  private readonly controller = new AbortController();
  private readonly forward = (): void => this.controller.abort(this.outer?.reason);
  private timer: NodeJS.Timeout;

  constructor(
    private readonly milliseconds: number,
    private readonly outer: AbortSignal | undefined,
  ) {
    this.timer = this.arm();
    outer?.addEventListener('abort', this.forward, { once: true });
    if (outer?.aborted) this.forward();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  touch(): void {
    clearTimeout(this.timer);
    this.timer = this.arm();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.outer?.removeEventListener('abort', this.forward);
  }

  private arm(): NodeJS.Timeout {
    return setTimeout(
      () => this.controller.abort(new Error(`nothing arrived for ${this.milliseconds / 1000} s`)),
      this.milliseconds,
    );
  }
}

/** Whether bytes come fast enough. */
export class Pace {
  private since = performance.now();
  private bytes = 0;

  constructor(
    private readonly leastSpeed: number,
    private readonly window: number,
  ) {}

  count(bytes: number): void {
    this.bytes += bytes;
  }

  /** @returns undefined where all is well, or what came in the time looked at */
  tooSlow(): { readonly bytes: number; readonly expected: number; readonly seconds: number } | undefined {
    const { bytes } = this;
    const now = performance.now();
    const seconds = (now - this.since) / 1000;
    if (seconds * 1000 < this.window) return undefined;
    const expected = Math.ceil(this.leastSpeed * seconds);
    if (bytes < expected) return { bytes, expected, seconds };
    [this.since, this.bytes] = [now, 0];
    return undefined;
  }
}
