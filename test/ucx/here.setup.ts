// Where this build has no UCX backend, what runs on every backend is skipped for it.

import { beforeEach } from 'vitest'
import { ucxHere } from './ucx-here.js'

if (!ucxHere) beforeEach((context) => context.skip())
