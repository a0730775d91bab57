// Environment of child processes that end abruptly on purpose: a leak checker would then count what V8 had no time to free.

export function childEnvironment(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { KVSEAM_FAULTS: _, ...inherited } = process.env
  const options = [inherited['ASAN_OPTIONS'], 'detect_leaks=0'].filter((option) => option !== undefined).join(':')
  return { ...inherited, ASAN_OPTIONS: options, ...extra }
}
