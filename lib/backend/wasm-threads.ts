import { BackendWasm, setThreadsCount } from '@tensorflow/tfjs-backend-wasm';
import type { BackendWasmThreadedSimdModule } from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd';
import {
  instantiate,
  moduleFactoryOf,
  readThreadedBuild,
  type WasmBuild,
  type WasmModule,
  type WasmSettings,
} from './wasm-build';
import { WasmThread } from './wasm-thread';

/** The build prepares so many threads, beside the main one, before it starts; later ones would never come. */
export const MOST_THREADS = 8;

/** Far more than it takes on a busy machine; without it a thread that never answers would stop everything. */
const LOADING_TIME = 30_000;

/**
 * The WebAssembly backend on several threads, not yet registered. The threads end with the process and do not hold it,
 * and end when the backend is disposed (`tf.removeBackend('wasm')`).
 *
 * @param threads 2 to `MOST_THREADS`, the main thread among them.
 * @throws Error where the build is not the known one, or its threads do not start.
 */
export async function startThreadedBackend(
  threads: number,
  build: WasmBuild = readThreadedBuild(),
): Promise<BackendWasm> {
  const started: WasmThread[] = [];
  let timer: NodeJS.Timeout | undefined;
  try {
    const module = await new Promise<WasmModule>((resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`threads did not start within ${LOADING_TIME / 1000} s`)),
        LOADING_TIME,
      );
      load(build, threads, started, reject).then(resolve, reject);
    });
    return backendOf(module, threads);
  } catch (error) {
    started.forEach((thread) => thread.terminate());
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function load(
  build: WasmBuild,
  threads: number,
  started: WasmThread[],
  onFailure: (error: Error) => void,
): Promise<WasmModule> {
  class Thread extends WasmThread {
    constructor() {
      super({ program: build.threadProgram, folder: build.folder, onEnd: onFailure });
      started.push(this);
    }
  }
  // The build allows as many threads as half of the cores.
  const makeModule = moduleFactoryOf(build, { Worker: Thread, cores: 2 * threads });
  const settings: WasmSettings = {
    mainScriptUrlOrBlob: build.scriptPath,
    locateFile: (path) => path,
    instantiateWasm: (imports, receive) => {
      // By now the settings have become the module. Threads that are not wanted are dropped before they start.
      (settings as unknown as WasmModule).PThread.unusedWorkers.splice(threads - 1);
      instantiate(build.binary, imports)
        .then(({ instance, module }) => receive(instance, module))
        .catch(onFailure);
      return {};
    },
  };
  return await makeModule(settings);
}

/** The package's backend object on the module, with the C++ functions that it calls. */
function backendOf(module: WasmModule, threads: number): BackendWasm {
  const tfjs = {
    init: module.cwrap('init', null, []),
    initWithThreadsCount: module.cwrap('init_with_threads_count', null, ['number']),
    getThreadsCount: module.cwrap('get_threads_count', 'number', []),
    registerTensor: module.cwrap('register_tensor', null, ['number', 'number', 'number']), // id, size, memory offset
    disposeData: module.cwrap('dispose_data', null, ['number']),
    dispose: module.cwrap('dispose', null, []),
  };
  setThreadsCount(threads);
  const backend = new BackendWasm(Object.assign(module, { tfjs }) as unknown as BackendWasmThreadedSimdModule);
  const found = tfjs.getThreadsCount();
  if (found !== threads) throw new Error(`it runs ${found} threads where ${threads} were asked for`);
  return backend;
}
