import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { FakeCheckout } from './fake-checkout';

let checkout: FakeCheckout;
const useCheckout = (...present: ConstructorParameters<typeof FakeCheckout>): FakeCheckout =>
  (checkout = new FakeCheckout(...present));
afterEach(() => checkout.remove());

const names = (calls: readonly string[]): string[] => calls.map((call) => call.split(' ')[0] ?? '');
/** The log's object, the own kernels, the package's one source file; then the kernels and the binding are linked. */
const COMPILED = ['g++', 'g++', 'g++', 'g++', 'g++'];

const libraryFolder = (): string => join(checkout.cache, 'native/tensorflow-cpu-2.21.0-x64');
/** Where the one binding that was compiled lies in the cache folder. */
function builtFolder(): string {
  const found = readdirSync(libraryFolder()).filter((name) => name.startsWith('binding'));
  expect(found).toEqual([expect.stringMatching(/^binding-[0-9a-f]{12}$/)]);
  return join(libraryFolder(), found[0] ?? '');
}

// Wheels with a C++ library exist for Linux only.
const onLinux = process.platform === 'linux' && process.arch === 'x64' ? describe : describe.skip;

onLinux('set-up on a machine with pip and a compiler', () => {
  test('installs packages, downloads the library, compiles the binding, and records it', async () => {
    useCheckout();
    expect(await checkout.setUp()).toBe('tensorflow');
    const calls = checkout.takeCalls();
    expect(names(calls)).toEqual(['npm', 'pip', 'unpack', ...COMPILED]);
    expect(calls[0]).toContain('ci --ignore-scripts');
    expect(calls[1]).toMatch(/download --no-deps .*tensorflow-cpu==2\.21\.0$/);
    expect(checkout.record()).toMatchObject({ backend: 'tensorflow', source: 'wheel', advice: null });
    expect(checkout.record().steps.every((step) => step.ok)).toBe(true);
    expect(readFileSync(join(checkout.nativePackage, 'deps/lib/libtensorflow.so'), 'utf8')).toBe('library\n');
  });

  describe('of an installed package', () => {
    const OPTIONAL = { '@tensorflow/tfjs-node-gpu': '4.22.0', 'node-api-headers': '1.9.0' };
    /** As npm leaves it: without a lock file, and without the packages whose install scripts failed. */
    const installed = (): void => {
      useCheckout();
      rmSync(join(checkout.root, 'package-lock.json'));
      checkout.write('check out/package.json', JSON.stringify({ name: 'crane-tfjs', optionalDependencies: OPTIONAL }));
      checkout.write('template/tar/package.json', '{}');
      checkout.write('template/@tensorflow/tfjs/package.json', '{}');
    };
    const inPackage = (...path: string[]): boolean => existsSync(join(checkout.root, 'node_modules', ...path));

    test('installs the native package without its install script, and no second TensorFlow.js', async () => {
      installed();
      expect(await checkout.setUp()).toBe('tensorflow');
      const calls = checkout.takeCalls();
      expect(names(calls)).toEqual(['npm', 'pip', 'unpack', ...COMPILED]);
      expect(calls[0]).toMatch(
        /install --ignore-scripts .*@tensorflow\/tfjs-node-gpu@4\.22\.0 node-api-headers@1\.9\.0$/,
      );
      expect(inPackage('node-api-headers')).toBe(true);
      expect(inPackage('@tensorflow/tfjs-node-gpu/node_modules/tar')).toBe(true);
      expect(inPackage('@tensorflow/tfjs')).toBe(false);
      expect(inPackage('@tensorflow/tfjs-node-gpu/node_modules/@tensorflow')).toBe(false);
      expect(readdirSync(join(checkout.root, '.cache')).filter((name) => name.startsWith('npm'))).toEqual([]);

      expect(await checkout.setUp()).toBe('tensorflow');
      expect(checkout.takeCalls()).toEqual([]);
    });

    test('says what to type where npm cannot install it', async () => {
      installed();
      expect(await checkout.setUp({ environment: checkout.environment({ FAKE_NPM: 'fails' }) })).toBe('wasm');
      expect(checkout.lines.at(-1)).toMatch(/npm could not install .*`npx crane setup`/);
      expect(inPackage('@tensorflow/tfjs-node-gpu')).toBe(false);
    });
  });

  test('a second call calls no program', async () => {
    useCheckout();
    await checkout.setUp();
    checkout.takeCalls();
    expect(await checkout.setUp()).toBe('tensorflow');
    expect(checkout.takeCalls()).toEqual([]);
  });

  test('after npm has thrown node_modules away, the library and the binding come from the cache folder', async () => {
    useCheckout();
    await checkout.setUp();
    rmSync(join(checkout.root, 'node_modules'), { recursive: true });
    checkout.takeCalls();
    expect(await checkout.setUp()).toBe('tensorflow');
    expect(names(checkout.takeCalls())).toEqual(['npm']);
  });

  test('another package-lock.json installs again', async () => {
    useCheckout();
    await checkout.setUp();
    checkout.takeCalls();
    const lock = join(checkout.root, 'package-lock.json');
    writeFileSync(
      lock,
      readFileSync(lock, 'utf8').replace('4.22.0"', '4.23.0"').replace('"version":"4.22.0"', '"version":"4.23.0"'),
    );
    await checkout.setUp();
    expect(names(checkout.takeCalls())).toContain('npm');
  });

  test('packages that somebody installed by hand are taken as they are', async () => {
    useCheckout();
    await checkout.setUp();
    rmSync(join(checkout.root, 'node_modules/.crane-packages.json'));
    checkout.takeCalls();
    await checkout.setUp();
    expect(checkout.takeCalls()).toEqual([]);
  });

  test.each([
    { what: 'binding', file: (): string => join(checkout.nativePackage, 'lib/napi-v8/tfjs_binding.node'), calls: [] },
    {
      what: 'library',
      file: (): string => join(libraryFolder(), 'tensorflow/libtensorflow_cc.so.2'),
      calls: ['pip', 'unpack', ...COMPILED],
    },
    { what: 'object of the kernels', file: (): string => join(builtFolder(), 'libcrane_kernels.so'), calls: COMPILED },
  ])('a $what that was cut short is made again', async ({ file, calls }) => {
    useCheckout();
    await checkout.setUp();
    checkout.takeCalls();
    writeFileSync(file(), '');
    expect(await checkout.setUp()).toBe('tensorflow');
    expect(names(checkout.takeCalls())).toEqual(calls);
    expect(readFileSync(join(checkout.nativePackage, 'lib/napi-v8/tfjs_binding.node'), 'utf8')).toBe('compiled\n');
  });

  test('a wheel laid into the cache folder by hand is used without pip', async () => {
    useCheckout();
    checkout.write('cache/native/tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl', 'wheel');
    expect(await checkout.setUp({ offline: true })).toBe('tensorflow');
    expect(names(checkout.takeCalls())).toEqual(['npm', 'unpack', ...COMPILED]);
  });
});

onLinux("the checkout's own kernels", () => {
  const compiling = (): string =>
    checkout
      .record()
      .steps.filter(({ step }) => step.startsWith('compile'))
      .map(({ detail }) => detail)
      .join(' | ');
  const behaving = (how: string): { environment: NodeJS.ProcessEnv } => ({
    environment: checkout.environment({ FAKE_GPP: how }),
  });
  /** Arguments of the call that made a file whose name is given. */
  const callFor = (calls: readonly string[], file: string): string =>
    calls.find((call) => call.split(' -o ')[1]?.split(' -')[0]?.endsWith(`/${file}`)) ?? '';

  test('are compiled for any processor, against TensorFlow, and loaded with the binding but not before TensorFlow', async () => {
    useCheckout();
    await checkout.setUp();
    const calls = checkout.takeCalls();
    expect(callFor(calls, 'kernels.cc.o')).toMatch(/-O3 -fno-math-errno -ffp-contract=fast -pthread/);
    expect(callFor(calls, 'kernels.cc.o')).not.toMatch(/-march/);
    const kernels = callFor(calls, 'libcrane_kernels.so');
    expect(kernels).toMatch(/--no-as-needed .*-l:libtensorflow_cc\.so\.2 -l:libtensorflow_framework\.so\.2/);
    expect(kernels).not.toMatch(/initfirst/);
    expect(callFor(calls, 'libcrane_quiet.so')).toContain('initfirst');
    const binding = callFor(calls, 'tfjs_binding.node');
    expect(binding).toMatch(/--no-as-needed -l:libcrane_quiet\.so -l:libcrane_kernels\.so/);
    expect(calls.indexOf(binding)).toBe(calls.length - 1);
    expect(compiling()).toBe('compiled');
  });

  test.each(['kernels.cc', 'vector.inc', '../compile.js'])(
    'a change of setup/native/%s compiles once more',
    async (file) => {
      useCheckout();
      await checkout.setUp();
      const first = checkout.record().key;
      checkout.takeCalls();
      appendFileSync(join(checkout.root, 'setup/native', file), '// changed\n');
      expect(await checkout.setUp()).toBe('tensorflow');
      expect(names(checkout.takeCalls())).toEqual(COMPILED);
      expect(checkout.record().key).not.toBe(first);
      await checkout.setUp();
      expect(checkout.takeCalls()).toEqual([]);
    },
  );

  test('a record of a set-up that knew no kernels compiles once more', async () => {
    useCheckout();
    await checkout.setUp();
    const { key, ...older } = checkout.record();
    writeFileSync(join(checkout.nativePackage, 'crane-native.json'), JSON.stringify(older));
    checkout.takeCalls();
    await checkout.setUp();
    // What was compiled from the same sources lies in the cache folder.
    expect(checkout.takeCalls()).toEqual([]);
    expect(checkout.record().key).toBe(key);
  });

  test.each(['found', 'download'])('a binding that is not ours (%s) is left alone when they change', async (source) => {
    useCheckout();
    await checkout.setUp();
    checkout.takeCalls();
    const file = join(checkout.nativePackage, 'crane-native.json');
    writeFileSync(file, JSON.stringify({ ...checkout.record(), source, key: null }));
    writeFileSync(checkout.kernels, '// changed');
    const before = readFileSync(file, 'utf8');
    expect(await checkout.setUp()).toBe('tensorflow');
    expect(checkout.takeCalls()).toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });

  test('that do not compile are left out, and every later record says why', async () => {
    useCheckout();
    expect(await checkout.setUp(behaving('refuses-kernels'))).toBe('tensorflow');
    expect(callFor(checkout.takeCalls(), 'tfjs_binding.node')).not.toContain('libcrane_kernels');
    expect(compiling()).toMatch(/^compiled; .*kernels.*kernels\.cc:7:1: error: unknown target attribute$/);

    rmSync(join(checkout.nativePackage, 'crane-native.json'));
    rmSync(join(checkout.nativePackage, 'lib'), { recursive: true });
    await checkout.setUp();
    expect(checkout.takeCalls()).toEqual([]);
    expect(compiling()).toMatch(/^the binding was compiled earlier; .*unknown target attribute$/);

    // With a newer compiler, for example.
    await checkout.setUp({ retry: true });
    expect(names(checkout.takeCalls())).toEqual(COMPILED);
    expect(compiling()).toBe('compiled');
  });

  test('and the binding are linked by the usual linker where gold is missing', async () => {
    useCheckout();
    expect(await checkout.setUp(behaving('no-gold'))).toBe('tensorflow');
    expect(names(checkout.takeCalls()).filter((name) => name === 'g++')).toHaveLength(COMPILED.length + 2);
    expect(compiling()).toBe('compiled');
    expect(readdirSync(builtFolder())).toContain('libcrane_kernels.so');
  });

  test('that are not there are no fault', async () => {
    useCheckout();
    rmSync(checkout.kernels);
    expect(await checkout.setUp()).toBe('tensorflow');
    expect(names(checkout.takeCalls()).filter((name) => name === 'g++')).toHaveLength(3);
    expect(compiling()).toBe('compiled');
  });

  test('with which the binding does not load are left out', async () => {
    useCheckout();
    expect(await checkout.setUp(behaving('breaks-kernels'))).toBe('tensorflow');
    expect(checkout.record()).toMatchObject({ backend: 'tensorflow', source: 'wheel' });
    expect(checkout.record().steps.find((step) => !step.ok)?.detail).toMatch(/the binding is damaged/);
    expect(checkout.record().steps.map(({ step }) => step)).toContain('compile the binding without our own kernels');
    checkout.takeCalls();
    expect(await checkout.setUp()).toBe('tensorflow');
    expect(checkout.takeCalls()).toEqual([]);
  });

  test('that changed where the compiler is gone or fails: the earlier binding stays, and is not tried at each call', async () => {
    useCheckout();
    await checkout.setUp();
    writeFileSync(checkout.kernels, '// changed');
    checkout.takeCalls();
    expect(await checkout.setUp(behaving('fails'))).toBe('tensorflow');
    expect(names(checkout.takeCalls())).toContain('g++');
    expect(checkout.record()).toMatchObject({ backend: 'tensorflow', source: 'wheel' });
    expect(compiling()).toMatch(/could not be compiled/);
    expect(readFileSync(join(checkout.nativePackage, 'lib/napi-v8/tfjs_binding.node'), 'utf8')).toBe('compiled\n');
    await checkout.setUp(behaving('fails'));
    expect(checkout.takeCalls()).toEqual([]);

    writeFileSync(checkout.kernels, '// changed again');
    rmSync(join(checkout.programs, 'g++'));
    expect(await checkout.setUp()).toBe('tensorflow');
    expect(checkout.record().steps.find((step) => !step.ok)?.detail).toMatch(/neither g\+\+ nor c\+\+ is installed/);
  });
});

describe('set-up without native TensorFlow', () => {
  test('CRANE_NO_NATIVE calls neither pip nor a compiler, and leaves what is set up alone', async () => {
    useCheckout();
    expect(await checkout.setUp({ environment: checkout.environment({ CRANE_NO_NATIVE: '1' }) })).toBe('wasm');
    expect(names(checkout.takeCalls())).toEqual(['npm']);
    expect(checkout.lines.at(-1)).toMatch(/CRANE_NO_NATIVE is set.*WebAssembly/);
  });

  test('no compiler: nothing is downloaded for it, WebAssembly it is, and the record says what to install', async () => {
    useCheckout(['npm', 'python3']);
    expect(await checkout.setUp()).toBe('wasm');
    expect(names(checkout.takeCalls())).toEqual(['npm']);
    expect(checkout.record()).toMatchObject({ backend: 'wasm', source: null });
    expect(checkout.record().advice).toMatch(/apt install python3-pip g\+\+/);
    expect(checkout.lines.at(-1)).toMatch(/neither g\+\+ nor c\+\+ is installed/);
  });

  onLinux('on Linux', () => {
    test('no python3', async () => {
      useCheckout(['npm', 'g++']);
      expect(await checkout.setUp()).toBe('wasm');
      expect(checkout.lines.at(-1)).toMatch(/python3 is not installed/);
    });

    test('a pip that fails is asked once for this Python and once for any', async () => {
      useCheckout();
      expect(await checkout.setUp({ environment: checkout.environment({ FAKE_PIP: 'fails' }) })).toBe('wasm');
      const calls = checkout.takeCalls();
      expect(names(calls)).toEqual(['npm', 'pip', 'pip']);
      expect(calls[2]).toContain('--python-version 3.12');
      expect(checkout.record().steps.find((step) => !step.ok)?.detail).toMatch(/it does not want to/);
    });

    test('a pip that gives no sign of life is given up', async () => {
      useCheckout();
      expect(await checkout.setUp({ environment: checkout.environment({ FAKE_PIP: 'hangs' }), quietSeconds: 1 })).toBe(
        'wasm',
      );
      expect(checkout.record().steps.find((step) => !step.ok)?.detail).toMatch(/no answer for 1 s/);
    });

    test('a compiler that fails leaves no binding behind', async () => {
      useCheckout();
      expect(await checkout.setUp({ environment: checkout.environment({ FAKE_GPP: 'fails' }) })).toBe('wasm');
      expect(existsSync(join(checkout.nativePackage, 'lib/napi-v8/tfjs_binding.node'))).toBe(false);
      expect(checkout.record().advice).toMatch(/npx crane setup/);
    });

    test('offline, pip is not called', async () => {
      useCheckout();
      expect(await checkout.setUp({ offline: true })).toBe('wasm');
      const calls = checkout.takeCalls();
      expect(names(calls)).toEqual(['npm']);
      expect(calls[0]).toContain('--offline');
    });
  });

  test('what failed is not tried again at once, but with --retry, after a day, and when a program has appeared', async () => {
    useCheckout(['npm', 'python3']);
    await checkout.setUp();
    const first = checkout.record();
    await checkout.setUp();
    expect(checkout.record()).toEqual(first);

    await checkout.setUp({ retry: true });
    const second = checkout.record();
    expect(second).not.toEqual(first);

    const file = join(checkout.nativePackage, 'crane-native.json');
    writeFileSync(
      file,
      JSON.stringify({ ...second, time: new Date(Date.now() - 25 * 3600_000).toISOString(), old: true }),
    );
    await checkout.setUp();
    expect(checkout.record()).not.toHaveProperty('old');

    checkout.write('programs/g++', '#!/bin/sh\nexit 1\n', 0o755);
    const third = checkout.record();
    await checkout.setUp();
    expect(checkout.record().steps).not.toEqual(third.steps);
  });

  test('npm that fails is an error with what to do', async () => {
    useCheckout();
    const failing = checkout.setUp({ environment: checkout.environment({ FAKE_NPM: 'fails' }) });
    await expect(failing).rejects.toThrow(/could not be installed: npm ended with 1[\s\S]*run the same command again/);
  });
});

onLinux('a set-up that is killed', () => {
  const COMMANDS = { npm: 1, pip: 1, 'g++': 3 } as const;

  /** Starts a set-up in a process of its own and waits until a pretended program hangs in it, in each of its commands. */
  async function startHanging(
    variable: string,
    program: keyof typeof COMMANDS,
  ): Promise<{ child: ChildProcess; commands: readonly number[] }> {
    const script = `require(${JSON.stringify(checkout.setupFile)}).setUp({ root: ${JSON.stringify(checkout.root)}, quietSeconds: 600 })`;
    const child = spawn(process.execPath, ['-e', script], {
      env: checkout.environment({ [variable]: 'hangs' }),
      stdio: 'ignore',
    });
    const calls = join(checkout.folder, 'calls');
    const begun = (): number =>
      existsSync(calls)
        ? readFileSync(calls, 'utf8')
            .split('\n')
            .filter((line) => line.includes(program)).length
        : 0;
    while (begun() < COMMANDS[program] || commandsOf().length < COMMANDS[program]) await pause(20);
    return { child, commands: commandsOf() };
  }

  /** The processes that the lock of a set-up lists. */
  function commandsOf(): readonly number[] {
    try {
      const { children } = JSON.parse(readFileSync(join(checkout.root, '.cache/setup.lock'), 'utf8')) as {
        children: { pid: number }[];
      };
      return children.map(({ pid }) => pid);
    } catch {
      return []; // half-written
    }
  }

  /** Those that are told to end need a moment for it; where one is not told, the test's time limit says so. */
  const allEnded = async (commands: readonly number[]): Promise<void> => {
    while (commands.some(isRunning)) await pause(20);
  };

  const ended = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null)
      await new Promise((resolve) => child.once('exit', resolve));
  };

  test.each([
    ['FAKE_NPM', 'npm', 'SIGKILL'],
    ['FAKE_PIP', 'pip', 'SIGKILL'],
    ['FAKE_GPP', 'g++', 'SIGKILL'],
    ['FAKE_PIP', 'pip', 'SIGINT'],
  ] as const)('%s while %s runs, by %s: the next call repairs it', async (variable, program, signal) => {
    useCheckout();
    const { child } = await startHanging(variable, program);
    child.kill(signal);
    await ended(child);
    checkout.takeCalls();

    expect(await checkout.setUp()).toBe('tensorflow');
    expect(checkout.record()).toMatchObject({ backend: 'tensorflow', source: 'wheel' });
    expect(readdirSync(join(checkout.cache, 'native'))).toEqual(['tensorflow-cpu-2.21.0-x64']);
    expect(readdirSync(builtFolder()).sort()).toEqual([
      'compiled.json',
      'libcrane_kernels.so',
      'libcrane_quiet.so',
      'tfjs_binding.node',
    ]);
    expect(readdirSync(join(checkout.root, '.cache'))).toEqual([]);
    expect(names(checkout.takeCalls()).includes('npm')).toBe(program === 'npm');
  });

  test.each([
    ['FAKE_NPM', 'npm'],
    ['FAKE_GPP', 'g++'],
  ] as const)('%s: its commands, left running, are ended before the next one starts', async (variable, program) => {
    useCheckout();
    const { child, commands } = await startHanging(variable, program);
    child.kill('SIGKILL');
    await ended(child);
    expect(commands.filter(isRunning)).toEqual(commands);
    await checkout.setUp();
    await allEnded(commands);
  });

  test('one that is interrupted ends all its commands itself', async () => {
    useCheckout();
    const { child, commands } = await startHanging('FAKE_GPP', 'g++');
    child.kill('SIGTERM');
    await ended(child);
    await allEnded(commands);
  });

  test('a second set-up waits for the first and then finds everything done', async () => {
    useCheckout();
    const first = checkout.setUp();
    const second = checkout.setUp();
    expect(await Promise.all([first, second])).toEqual(['tensorflow', 'tensorflow']);
    expect(names(checkout.takeCalls())).toEqual(['npm', 'pip', 'unpack', ...COMPILED]);
    expect(checkout.lines.filter((line) => line.startsWith('Another set-up is running'))).toHaveLength(1);
  });
});

/** Zombies, which nobody has waited for yet, do not count. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
