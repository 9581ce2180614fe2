// Finds codex-orchestrator and hands a call over to it: its exit code and signals are this process's.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const ROOT = path.resolve(path.dirname(realpathSync(fileURLToPath(import.meta.url))), '..', '..');
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'];
// Only the package has a __main__: any folder of that name would do for an import.
const IN_PYTHON =
  'import importlib.util as u, sys; sys.exit(sys.version_info < (3, 11) or not u.find_spec("orchestrator.__main__"))';
const SHIM = path.basename(process.argv[1] ?? 'shim');

const RENAMED = { '--run-id': '--run', '--resume-token': '--token' };
const LEFT_OUT = {
  '--timeout': { takesValue: true, because: "timeouts are the stages', in project_configs" },
  '--summarize': { takesValue: false, because: 'the summary is what is printed' },
};

/** Say something on stderr, in one line. */
export function say(message) {
  process.stderr.write(`${SHIM}: ${message}\n`);
}

/** Return the early version's words in today's; what is unknown is the program's to judge. */
export function translated(words) {
  const result = [];
  for (let index = 0; index < words.length; index += 1) {
    if (words[index] === '--') {
      return [...result, ...words.slice(index)];
    }
    const [flag, ...value] = words[index].split('=');
    const gone = LEFT_OUT[flag];
    if (gone !== undefined) {
      say(`${flag} has no counterpart and is left out: ${gone.because}`);
      index += gone.takesValue && value.length === 0 ? 1 : 0;
    } else {
      result.push([RENAMED[flag] ?? flag, ...value].join('='));
    }
  }
  return result;
}

/** Call the program with these words, and end as it ends. */
export function become(verb, words) {
  say(`now: codex-orchestrator ${verb}`);
  const program = findProgram();
  if (program === null) {
    say(`codex-orchestrator is not installed: not in ${ROOT}/.venv, not on PATH, not in python3`);
    process.stderr.write(`hint: ${ROOT}/scripts/setup makes .venv, or install the package codex-orchestrator\n`);
    process.exitCode = 2;
    return;
  }
  const [command, ...before] = program;
  // The handlers come first: a signal between the start and them would end this process alone.
  let child = null;
  for (const signal of FORWARDED) {
    // A terminal's Ctrl-C reaches the program by itself, and would come to it twice.
    const comesByItself = signal === 'SIGINT' && process.stdin.isTTY;
    process.on(signal, () => comesByItself || child?.kill(signal));
  }
  child = spawn(command, [...before, verb, ...words], { stdio: 'inherit', env: environment() });
  child.on('error', (error) => {
    say(`${command} can't be started: ${error.message}`);
    process.exitCode = 2;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + (os.constants.signals[signal] ?? 0);
  });
}

function findProgram() {
  const own = path.join(ROOT, '.venv', 'bin', 'codex-orchestrator');
  if (isExecutable(own)) {
    return [own];
  }
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    const candidate = path.join(folder || '.', 'codex-orchestrator');
    if (isExecutable(candidate)) {
      return [candidate];
    }
  }
  const probe = spawnSync('python3', ['-c', IN_PYTHON], { stdio: 'ignore' });
  return probe.status === 0 ? ['python3', '-m', 'orchestrator'] : null;
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Name the workspace when the current folder is in none: then the one that the shims lie in is meant. */
function environment() {
  if (process.env.CODEX_ORCHESTRATOR_ROOT || isInWorkspace(process.cwd())) {
    return process.env;
  }
  const named = existsSync(path.join(ROOT, 'project_configs')) ? { CODEX_ORCHESTRATOR_ROOT: ROOT } : {};
  return { ...process.env, ...named };
}

function isInWorkspace(folder) {
  if (existsSync(path.join(folder, 'project_configs'))) {
    return true;
  }
  const parent = path.dirname(folder);
  return parent !== folder && isInWorkspace(parent);
}
