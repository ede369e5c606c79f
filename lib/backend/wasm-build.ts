/**
 * The threaded build of `@tensorflow/tfjs-backend-wasm`: the package has it but starts it in browsers only. How it is
 * started here depends on what its files say, so only known files are used.
 */
import type { WasmFactoryConfig } from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { compileFunction } from 'node:vm';

const NAME = 'tfjs-backend-wasm-threaded-simd';

/** SHA-256 of the build's files in version 4.22.0 of the package. */
const KNOWN = {
  [`${NAME}.js`]: 'd79fba6f8a1648e9e068c73930d4898d99fcc24ca3163a8679464c96a644949f',
  [`${NAME}.worker.js`]: '2d56f7279a8515423f59e3a8a5793d27aee4fcf4c9f955c28c6d38a4462f9472',
  [`${NAME}.wasm`]: 'c052228d4bef185c27bbe59a9e029570c78bbb9f08b3cb46b597851650373de2',
};

export interface WasmBuild {
  readonly folder: string;
  /** The script that makes a module out of the binary, in the main thread and in each other one. */
  readonly scriptPath: string;
  readonly script: string;
  /** What a thread runs before the script. */
  readonly threadProgram: string;
  readonly binary: Uint8Array;
}

/** What the build's script makes: the memory and, by name, the C++ functions of a running instance. */
export interface WasmModule {
  cwrap(name: string, result: 'number' | null, argumentTypes: readonly string[]): (...values: number[]) => number;
  readonly PThread: { readonly unusedWorkers: object[]; terminateAllThreads(): void };
}

/** Makes a module out of settings, and completes the settings to be that module. */
export type WasmModuleFactory = (settings: WasmSettings) => Promise<WasmModule>;

export interface WasmSettings extends WasmFactoryConfig {
  /** Makes an instance of the binary, which needs what is in `imports`, and hands it on. */
  instantiateWasm(imports: object, receive: (instance: object, module: object) => void): object;
}

/** Node's own, which its types leave out. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    instantiate(binary: Uint8Array, imports: object): Promise<{ readonly instance: object; readonly module: object }>;
  };
};
export const instantiate = WebAssembly.instantiate;

/** What the script finds in place of Node's own objects. */
export interface WasmSurroundings {
  readonly Worker: new (file: string) => object;
  /** As many cores as the script is to believe in. */
  readonly cores: number;
}

/** The folder of the package that holds its builds. */
export function wasmFolder(): string {
  return join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json')), 'wasm-out');
}

/**
 * Reads the build's files.
 * @throws Error where one is missing or unknown; the message says which.
 */
export function readThreadedBuild(folder = wasmFolder()): WasmBuild {
  const files = new Map<string, Buffer>();
  for (const [name, expected] of Object.entries(KNOWN)) {
    const bytes = readFileSync(join(folder, name));
    if (createHash('sha256').update(bytes).digest('hex') !== expected) {
      throw new Error(
        `${name} of @tensorflow/tfjs-backend-wasm is not that of version 4.22.0, the one that is known to work`,
      );
    }
    files.set(name, bytes);
  }
  const text = (name: string): string => (files.get(name) as Buffer).toString('utf8');
  return {
    folder,
    scriptPath: join(folder, `${NAME}.js`),
    script: text(`${NAME}.js`),
    threadProgram: threadProgramIn(text(`${NAME}.worker.js`)),
    binary: files.get(`${NAME}.wasm`) as Buffer,
  };
}

/** The file keeps the program as a text whose line breaks inside of strings have lost their backslash. */
function threadProgramIn(file: string): string {
  const module = { exports: {} as { wasmWorkerContents?: string } };
  compileFunction(file, ['module'])(module);
  return (module.exports.wasmWorkerContents ?? '').replace(/\n/g, '\\n');
}

/**
 * Runs the script as `require` would, but in its own scope: otherwise it sets a global `Worker`, and listeners
 * of the process that end it on any promise that is rejected unseen.
 */
export function moduleFactoryOf(build: WasmBuild, { Worker, cores }: WasmSurroundings): WasmModuleFactory {
  const process = {
    versions: globalThis.process.versions,
    argv: [],
    hrtime: globalThis.process.hrtime,
    on: () => undefined,
  };
  const standIns: Record<string, unknown> = { worker_threads: { Worker }, os: { cpus: () => Array(cores).fill({}) } };
  const requireInstead = (name: string): unknown => standIns[name] ?? require(name);
  const names = { module: { exports: {} }, exports: {}, require: requireInstead, process, global: {}, Worker };
  const values = { ...names, __filename: build.scriptPath, __dirname: build.folder };
  compileFunction(build.script, Object.keys(values), { filename: build.scriptPath })(...Object.values(values));
  return names.module.exports as WasmModuleFactory;
}
