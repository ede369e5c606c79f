import { PickleDict, PickleGlobal, PickleOpaque, type PickleValue } from './pickle-values';
import type { PickleWorld } from './pickle';
import { shownName } from '../files/shown-name';
import {
  invalid,
  rebuildSubclass,
  rebuildTensor,
  rebuildTypedTensor,
  TorchStorage,
  unreadTensor,
} from './torch-tensor';

/**
 * What the pickles inside PyTorch checkpoints name: tensors, their storages, and the containers around them are made.
 * Everything else is known by its name alone and never made, so that other content does not stop the weights; only
 * names that serve to run programs end the reading.
 * Source: torch/_utils.py, torch/serialization.py, torch/_weights_only_unpickler.py.
 */
function orderedDict(args: readonly PickleValue[]): PickleDict {
  const pairs = args[0] ?? [];
  if (!Array.isArray(pairs)) throw invalid('an OrderedDict from something that is not a list');
  const dict = new PickleDict();
  for (const pair of pairs as readonly PickleValue[]) {
    const [key, value] = Array.isArray(pair) ? (pair as readonly PickleValue[]) : [];
    if (typeof key !== 'string' || value === undefined)
      throw invalid('an OrderedDict with an entry that is not a pair');
    dict.set(key, value);
  }
  return dict;
}

const first = (args: readonly PickleValue[]): PickleValue => args[0] ?? null;

const CALLS: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  'collections.OrderedDict': orderedDict,
  // Its first argument makes what is missing; the items follow as those of a dictionary.
  'collections.defaultdict': () => new PickleDict(),
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_tensor_v3': rebuildTypedTensor,
  'torch._tensor._rebuild_from_type_v2': rebuildSubclass,
  'torch._utils._rebuild_parameter': first,
  'torch._utils._rebuild_parameter_with_state': first,
  'torch._utils._rebuild_sparse_tensor': () => unreadTensor('sparse tensor'),
  'torch._utils._rebuild_sparse_csr_tensor': () => unreadTensor('sparse tensor'),
  'torch._utils._rebuild_qtensor': () => unreadTensor('quantized tensor'),
  'torch._utils._rebuild_nested_tensor': () => unreadTensor('nested tensor'),
  'torch._utils._rebuild_meta_tensor_no_storage': () => unreadTensor('tensor without values, of the meta device'),
  'torch._utils._rebuild_wrapper_subclass': () => unreadTensor('wrapped tensor of a class of its own'),
  'torch._utils._rebuild_device_tensor_from_numpy': () => unreadTensor('tensor of another device'),
  'torch.Size': first,
  'torch.device': (args) => args.filter((arg) => typeof arg === 'string' || typeof arg === 'number').join(':'),
  'torch.jit._pickle.build_intlist': first,
  'torch.jit._pickle.build_doublelist': first,
  'torch.jit._pickle.build_boollist': first,
  'torch.jit._pickle.build_tensorlist': first,
  'torch.jit._pickle.restore_type_tag': first,
  '_codecs.encode': () => new PickleOpaque('bytes'),
};

const GLOBALS: ReadonlyMap<string, PickleGlobal> = new Map([
  // The options that a program was started with, as attributes.
  ['argparse.Namespace', new PickleGlobal('argparse.Namespace', undefined, true)] as const,
  ...Object.entries(CALLS).map(([name, call]) => [name, new PickleGlobal(name, call)] as const),
]);

/**
 * Names that run programs or code when Python loads them. Nothing is run here, whatever a file names; but no one who saves
 * weights writes these, and who is given such a file should know.
 */
const RUNS_CODE = new RegExp(
  '^(?:' +
    [
      '(?:os|posix|nt|subprocess|popen2|pty|runpy|importlib|ctypes|_ctypes|socket|shutil|webbrowser|pdb|bdb|timeit|pip)\\..*',
      '(?:builtins|__builtin__)\\.(?:eval|exec|execfile|compile|open|input|raw_input|__import__|breakpoint|apply|exit|quit)',
      '(?:pickle|_pickle|marshal|torch|torch\\.serialization|torch\\.jit|torch\\.package)\\.(?:loads?|Unpickler)',
      'sys\\.(?:modules|settrace|setprofile|exit|path|meta_path|breakpointhook)',
      'commands\\.(?:getoutput|getstatusoutput)',
      'code\\.(?:interact|InteractiveInterpreter|InteractiveConsole)',
      'torch\\.(?:hub\\..*|storage\\._load_from_bytes)',
    ].join('|') +
    ')$',
);

/** Functions that make an object of the class that is their first argument. */
const MAKES_CLASS = /(?:^|\.)(?:_reconstructor|__newobj__|__newobj_ex__|_reconstruct)$/;

/** A global whose meaning is not needed: what is made with it is known by its name. */
function named(name: string): PickleGlobal {
  const kindOf = (args: readonly PickleValue[]): string => {
    const [made] = args;
    const kind = MAKES_CLASS.test(name) && made instanceof PickleGlobal ? made.name : name;
    return shownName(
      kind
        .replace(/^(?:__builtin__|builtins)\./, '')
        .replace(/^numpy\.(?:core|_core)\.multiarray\.scalar$/, 'number of numpy'),
    );
  };
  return new PickleGlobal(name, (args) => new PickleOpaque(kindOf(args)));
}

/** The world of a checkpoint, which also remembers the storages that it was shown. */
export interface TorchWorld extends PickleWorld {
  readonly storages: ReadonlyMap<string, TorchStorage>;
}

/** TorchScript's own classes are let in as bags of attributes; their code is never looked at. */
export function torchWorld(options: { readonly scriptClasses: boolean }): TorchWorld {
  const storages = new Map<string, TorchStorage>();
  return {
    storages,
    global: (name) => {
      if (options.scriptClasses && name.startsWith('__torch__.')) return new PickleGlobal(name, undefined, true);
      return GLOBALS.get(name) ?? (RUNS_CODE.test(name) ? undefined : named(name));
    },
    persistent: (id) => {
      const value = persistentValue(id);
      if (value instanceof TorchStorage) storages.set(value.key, value);
      return value;
    },
  };
}

/** `('storage', type, key, device, count, …)`: where the tensor lived does not matter here. */
function persistentValue(id: PickleValue): PickleValue {
  if (!Array.isArray(id)) throw invalid('its storage has no address');
  const [kind, type, key, , count, view] = id as readonly PickleValue[];
  // Before PyTorch 1.6 classes of modules were put aside with their source.
  if (kind === 'module' && type instanceof PickleGlobal) return type;
  if (
    kind !== 'storage' ||
    !(type instanceof PickleGlobal) ||
    typeof key !== 'string' ||
    !Number.isSafeInteger(count) ||
    (count as number) < 0
  ) {
    throw invalid('its storage has an address of an unknown kind');
  }
  if (Array.isArray(view)) throw invalid('its storage is itself a view; save it again with a current PyTorch');
  return new TorchStorage(key, type.name.slice(type.name.lastIndexOf('.') + 1), count as number);
}
