#!/usr/bin/env node
// The program `kvseam`: hands this process to the table of commands.

import { COMMANDS } from './commands.js'
import { runProcess } from './process.js'

await runProcess(COMMANDS)
