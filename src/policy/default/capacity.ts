// Sessions and bytes of paths and pools, taken all or nothing in one call and given back once, by their holder or the clock.

import type { WorkloadProfile } from '../workload.js'
import { WORKLOADS } from '../workload.js'
import { type ClassLimits, classLimits, TIERS } from './class-limits.js'
import type { Lease } from './lease.js'
import { LeaseBook } from './lease-book.js'
import type { PathRecord } from './path.js'
import { Pool, type Share } from './pool.js'

interface KnownClass {
  readonly limits: ClassLimits
  readonly share: number
}

const NONE: readonly number[] = Object.freeze([])

export class Capacity {
  /** Every class with sessions set aside; the three tiers first. */
  readonly shares: Share[] = []
  readonly #pools = new Map<string, Pool>()
  readonly #leases = new LeaseBook()
  readonly #classes = new WeakMap<WorkloadProfile, KnownClass>()

  constructor() {
    for (const tier of TIERS) this.#shareOf(classLimits(WORKLOADS[tier]))
  }

  pool(name: string): Pool {
    let pool = this.#pools.get(name)
    if (pool === undefined) {
      pool = new Pool(name)
      this.#pools.set(name, pool)
    }
    return pool
  }

  /** Profiles are taken as they were when first seen. @throws KVSEAM_INVALID_ARGUMENT */
  classOf(workload: WorkloadProfile): KnownClass {
    let known = this.#classes.get(workload)
    if (known === undefined) {
      const limits = classLimits(workload)
      known = { limits, share: this.#shareOf(limits) }
      this.#classes.set(workload, known)
    }
    return known
  }

  lease(id: number): Lease | undefined {
    return this.#leases.get(id)
  }

  take(path: PathRecord, bytes: number, share: number, expiresUs: number): Lease {
    const lease: Lease = {
      id: this.#leases.nextId(),
      path,
      bytes,
      share,
      expiresUs,
      heapIndex: 0,
      startUs: 0,
      fairStartUs: 0,
      aheadBytes: 0,
      fairUs: 0,
      fifoUs: 0,
      settled: false,
      writtenOff: false,
      older: null,
      newer: null,
    }
    this.#leases.add(lease)
    path.sessions++
    path.reservedBytes += bytes
    path.pool.take(share)
    return lease
  }

  give(lease: Lease, nowUs: number): void {
    this.#leases.remove(lease)
    if (!lease.settled) {
      lease.settled = true
      if (!lease.writtenOff) lease.path.load.remove(lease, nowUs)
    }
    lease.path.sessions--
    lease.path.reservedBytes -= lease.bytes
    lease.path.pool.give(lease.share)
  }

  /** Ends every lease whose time is over; returns their ids, earliest first. */
  expire(nowUs: number): readonly number[] {
    let ids: number[] | null = null
    for (let lease = this.#leases.expired(nowUs); lease !== undefined; lease = this.#leases.expired(nowUs)) {
      this.give(lease, nowUs)
      ids ??= []
      ids.push(lease.id)
    }
    return ids ?? NONE
  }

  firstExpiryUs(): number {
    return this.#leases.firstExpiryUs()
  }

  /** A class with a reservation of its own has a share of its own, the others that of their tier. */
  #shareOf(limits: ClassLimits): number {
    const known = this.shares.findIndex((share) => share.name === limits.name)
    if (known >= 0) return known
    const index = this.shares.length
    this.shares.push({ index, name: limits.name, reservation: limits.reservation })
    return index
  }
}
