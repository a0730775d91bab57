// `kvseam explain FILE`: one decision record said in sentences.

import { SeamError } from '../errors.js'
import type { DecisionRecord } from '../record/decision-record.js'
import { readLog, unread } from '../record/read-log.js'
import type { CommandIo } from './command.js'
import { EXIT } from './exit-code.js'
import { type CommandSyntax, helpLines, parseOptions } from './options.js'
import { sentencesOf } from './sentences.js'
import { wrapped } from './text.js'

const SYNTAX = {
  name: 'explain',
  summary:
    'Says in sentences why a decision came out as it did: every candidate with the rules it failed, the prediction, and what would have changed it.',
  positionals: [
    { name: 'file', help: 'record log, or a file with one record; /dev/stdin reads a pipe', required: true },
  ],
  options: {
    request: { kind: 'text', value: 'ID', help: 'last decision about the request of this id' },
    seq: { kind: 'integer', min: 1, help: 'decision of this sequence number; the last one unless told' },
    json: { kind: 'flag', help: 'print the record itself' },
  },
  examples: [
    'kvseam explain decisions.jsonl --request r-17',
    'grep \'"verdict":"rejected"\' decisions.jsonl | tail -1 | kvseam explain /dev/stdin',
  ],
} as const satisfies CommandSyntax

/** @param argv what follows `kvseam explain` */
export async function explainCommand(argv: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(SYNTAX, argv)
  if (help) {
    for (const line of helpLines(SYNTAX, io)) io.stdout(line)
    return EXIT.ok
  }
  const [file] = positionals as [string]
  const { request, seq } = values
  const wanted = (record: DecisionRecord): boolean =>
    (request === undefined || record.req.id === request) && (seq === undefined || record.seq === seq)
  const record = await lastDecision(file, wanted)
  if (record === undefined) {
    const which =
      request === undefined ? (seq === undefined ? '' : ` with sequence number ${seq}`) : ` about request ${request}`
    throw new SeamError('KVSEAM_USAGE', { file, request, seq }, `${file} holds no decision${which}`)
  }
  if (values.json) io.stdout(JSON.stringify(record))
  else for (const line of sentencesOf(record)) for (const each of folded(line, io.columns)) io.stdout(each)
  return EXIT.ok
}

async function lastDecision(
  file: string,
  wanted: (record: DecisionRecord) => boolean,
): Promise<DecisionRecord | undefined> {
  let found: DecisionRecord | undefined
  for await (const { record } of readLog(file, unread())) {
    if (record.schema !== 'kvseam.decision/1') continue
    const decision = record as unknown as DecisionRecord
    if (wanted(decision)) found = decision
  }
  return found
}

function folded(line: string, columns: number): string[] {
  const indent = line.startsWith('  ') ? '  ' : ''
  if (line === '') return ['']
  return wrapped(line.trimStart(), columns - indent.length).map((each, i) => `${indent}${i === 0 ? '' : '  '}${each}`)
}
