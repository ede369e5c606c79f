import { execFileSync } from 'node:child_process';

export interface WorkingCommit {
  /** 40 hexadecimal digits. */
  readonly commit: string;
  /** Whether tracked files differ from it. */
  readonly changed: boolean;
}

/** The git commit of a folder; null if it is not in a repository, or git is not available. */
export function workingCommit(folder: string): WorkingCommit | null {
  const git = (...words: string[]): string =>
    execFileSync('git', words, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    }).trim();
  try {
    return { commit: git('rev-parse', 'HEAD'), changed: git('status', '--porcelain', '--untracked-files=no') !== '' };
  } catch {
    return null;
  }
}
