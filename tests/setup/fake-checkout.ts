import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';

export interface SetUpOptions {
  readonly root: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly offline?: boolean;
  readonly retry?: boolean;
  readonly quietSeconds?: number;
  readonly log?: (line: string) => void;
}

const SETUP_FOLDER = resolve(__dirname, '../../setup');

/** What a set-up has recorded beside the native package. */
export interface NativeRecord {
  readonly backend: string;
  readonly source: string | null;
  readonly key: string | null;
  readonly steps: readonly { readonly step: string; readonly ok: boolean; readonly detail: string }[];
  readonly advice: string | null;
}

/**
 * A checkout in a temporary folder with a copy of the set-up, and with programs on PATH that only pretend: `npm`,
 * `python3` with pip, `g++`. Each call of them is noted. How they behave is said by environment variables: FAKE_NPM,
 * FAKE_PIP and FAKE_GPP are `works` (default), `fails` or `hangs`; with FAKE_GPP `refuses-kernels` only the checkout's own
 * kernels do not compile, with `breaks-kernels` a binding that has them does not load,
 * with `no-gold` that linker is not there.
 */
export class FakeCheckout {
  readonly folder = mkdtempSync(join(tmpdir(), 'crane-setup-'));
  readonly root = join(this.folder, 'check out');
  readonly cache = join(this.folder, 'cache');
  readonly programs = join(this.folder, 'programs');
  readonly nativePackage = join(this.root, 'node_modules/@tensorflow/tfjs-node-gpu');
  readonly setupFile = join(this.root, 'setup/setup.js');
  /** Source of the checkout's own kernels. */
  readonly kernels = join(this.root, 'setup/native/kernels.cc');
  readonly lines: string[] = [];

  constructor(present: readonly ('npm' | 'python3' | 'g++')[] = ['npm', 'python3', 'g++']) {
    this.write('check out/package.json', JSON.stringify({ name: 'fake' }));
    this.write('check out/package-lock.json', LOCK);
    this.write('check out/bin/crane.js', '');
    cpSync(SETUP_FOLDER, join(this.root, 'setup'), { recursive: true });
    this.write('check out/setup/native/kernels.cc', '// kernels');
    this.write('template/.package-lock.json', LOCK);
    this.write('template/node-api-headers/include/node_api.h', '');
    this.write('template/@tensorflow/tfjs-node-gpu/package.json', JSON.stringify({ main: 'index.js' }));
    this.write('template/@tensorflow/tfjs-node-gpu/index.js', PACKAGE);
    this.write('template/@tensorflow/tfjs-node-gpu/binding/binding.cc', '// source');
    this.write('template/@tensorflow/tfjs-node-gpu/scripts/install.js', 'process.exit(1);');
    for (const name of present) this.write(`programs/${name}`, PROGRAMS[name], 0o755);
  }

  environment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      PATH: `${this.programs}:${this.#plainTools()}`,
      CRANE_CACHE: this.cache,
      FAKE_FOLDER: this.folder,
      // Behind a proxy the npm package's download is tried without asking its host first.
      HTTPS_PROXY: 'http://127.0.0.1:9',
      ...extra,
    };
  }

  async setUp(options: Partial<SetUpOptions> = {}): Promise<string> {
    // Plain JavaScript without declarations, since it runs before TypeScript is installed.
    const { setUp } = require(this.setupFile) as { setUp: (given: SetUpOptions) => Promise<string> };
    return await setUp({
      root: this.root,
      environment: this.environment(),
      log: (line) => this.lines.push(line),
      ...options,
    });
  }

  /** The calls of the pretended programs since the last time this was asked. */
  takeCalls(): string[] {
    const file = join(this.folder, 'calls');
    const calls = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    rmSync(file, { force: true });
    return calls;
  }

  record(): NativeRecord {
    return JSON.parse(readFileSync(join(this.nativePackage, 'crane-native.json'), 'utf8')) as NativeRecord;
  }

  write(file: string, text: string, mode?: number): void {
    const path = join(this.folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    if (mode !== undefined) chmodSync(path, mode);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The shell's own tools without the compilers and Pythons that lie beside them. */
  #plainTools(): string {
    const folder = join(this.folder, 'tools');
    if (!existsSync(folder)) {
      for (const tool of ['sh', 'mkdir', 'cp', 'rm', 'sleep', 'dirname', 'cat', 'printf', 'echo']) {
        const real = ['/bin', '/usr/bin'].map((place) => join(place, tool)).find((file) => existsSync(file));
        if (real !== undefined) this.write(`tools/${tool}`, `#!/bin/sh\nexec ${real} "$@"\n`, 0o755);
      }
    }
    return folder;
  }
}

const LOCK = JSON.stringify({
  packages: {
    '': { name: 'fake', optionalDependencies: { '@tensorflow/tfjs-node-gpu': '4.22.0' } },
    'node_modules/@tensorflow/tfjs-node-gpu': { version: '4.22.0', optional: true },
    'node_modules/for-another-system': { version: '1.0.0', optional: true },
  },
});

/** Stands for tfjs-node-gpu: works only with a binding that the pretended compiler has finished. */
const PACKAGE = `
const fs = require('fs'), path = require('path');
const binding = fs.readFileSync(path.join(__dirname, 'lib/napi-v8/tfjs_binding.node'), 'utf8');
if (binding.trim() !== 'compiled') throw new Error('Error: the binding is damaged');
module.exports = {
  tensor2d: (rows) => rows,
  matMul: (a, b) => ({ dataSync: () => [a[0][0] * b[0][0] + a[0][1] * b[1][0]] }),
  getBackend: () => 'tensorflow',
};
`;

const BEHAVE = (variable: string): string => `
case "$${variable}" in
  fails) echo "ERROR: it does not want to" >&2; exit 1 ;;
  hangs) sleep 600; exit 1 ;;
esac`;

const PROGRAMS = {
  npm: `#!/bin/sh
echo "npm $*" >> "$FAKE_FOLDER/calls"
rm -rf node_modules
mkdir -p node_modules/@tensorflow/tfjs-node-gpu
${BEHAVE('FAKE_NPM')}
cp -R "$FAKE_FOLDER/template/." node_modules/
`,
  python3: `#!/bin/sh
case "$*" in
  *"pip --version"*) exit 0 ;;
  *extract_wheel*)
    echo "unpack" >> "$FAKE_FOLDER/calls"
    mkdir -p "$3/tensorflow/include"
    echo library > "$3/tensorflow/libtensorflow_cc.so.2"
    echo framework > "$3/tensorflow/libtensorflow_framework.so.2"
    exit 0 ;;
esac
echo "pip $*" >> "$FAKE_FOLDER/calls"
${BEHAVE('FAKE_PIP')}
while [ "$1" != "--dest" ]; do shift; done
echo wheel > "$2/tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl"
`,
  'g++': `#!/bin/sh
echo "g++ $*" >> "$FAKE_FOLDER/calls"
${BEHAVE('FAKE_GPP')}
made=compiled
case "$FAKE_GPP $*" in
  "no-gold "*-fuse-ld=gold*) echo "collect2: fatal error: cannot find 'ld'" >&2; exit 1 ;;
  "refuses-kernels "*" -o "*/kernels.cc.o*) echo "kernels.cc:7:1: error: unknown target attribute" >&2; exit 1 ;;
  "breaks-kernels "*-l:libcrane_kernels.so*) made=broken ;;
esac
while [ "$1" != "-o" ]; do shift; done
echo "$made" > "$2"
`,
} as const;
