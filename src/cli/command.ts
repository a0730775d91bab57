// What a command of the CLI is, and all it may use of the world around it.

/** A terminal that can be redrawn. Absent when standard output is not one. */
export interface Screen {
  /** Writes text and control sequences as they are; adds no line end. */
  write(text: string): void
  /** Height in lines now; may change between calls. */
  readonly rows: number
  /** Width in characters now; may change between calls. */
  readonly columns: number
}

export interface CommandIo {
  /** Writes a result: one line, without its line end. */
  readonly stdout: (line: string) => void
  /** Writes progress or an error: one line, without its line end. */
  readonly stderr: (line: string) => void
  /** Whether standard output is a terminal. */
  readonly isTty: boolean
  /** Characters that fit a line of standard output; 80 where there is no terminal. */
  readonly columns: number
  readonly env: Readonly<Record<string, string | undefined>>
  /** For live output; only on a terminal. */
  readonly screen?: Screen | undefined
  /** Aborted by Ctrl-C (SIGINT) and SIGTERM; the command then cleans up and returns, within 3 s. */
  readonly signal?: AbortSignal | undefined
}

/**
 * A command: takes what stands after its name, gives the exit code (see exit-code.ts). It may throw SeamError, which is shown
 * as `error: CODE: message`.
 */
type Command = (argv: string[], io: CommandIo) => Promise<number>

/** A line of the table of commands. `load` imports the command only when it is called for. */
export interface CommandEntry {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<Command>
}
