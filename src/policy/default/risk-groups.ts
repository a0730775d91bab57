// Shared elements whose failure takes several paths with it. When at least two members and at least half of them get worse
// within two seconds while few paths outside do, the element is suspected: its other members are avoided before they have
// failed, they do not count as alternates of each other, and only the first members pay a flap penalty.

import type { PathRecord } from './path.js'

const TOGETHER_US = 2_000_000
const SUSPECT_US = 10_000_000
const LEAST_MEMBERS = 2
/** Share of the outside paths that may have got worse too; above it, it is not this element. */
const OUTSIDE_MOST = 0.25

export class RiskGroup {
  readonly name: string
  readonly members: PathRecord[] = []
  suspect = false
  suspectUntilUs = 0
  /** Member index and time of the newest worsening of each, as pairs; pruned as it is read. */
  #risen: { path: PathRecord; atUs: number }[] = []

  constructor(name: string) {
    this.name = name
  }

  /** @returns members that have got worse lately, each counted once */
  rose(path: PathRecord, nowUs: number): number {
    this.#risen = this.#risen.filter((each) => each.path !== path && nowUs - each.atUs <= TOGETHER_US)
    this.#risen.push({ path, atUs: nowUs })
    return this.#risen.length
  }

  risenCount(nowUs: number): number {
    this.#risen = this.#risen.filter((each) => nowUs - each.atUs <= TOGETHER_US)
    return this.#risen.length
  }
}

export class RiskGroups {
  readonly #byName = new Map<string, RiskGroup>()
  readonly #suspects: RiskGroup[] = []
  #found: RiskGroup[] = []
  #paths = 0
  /** Worsenings of all paths, newest last. */
  #risen: { path: PathRecord; atUs: number }[] = []

  join(names: readonly string[]): RiskGroup[] {
    this.#paths++
    return [...new Set(names)].map((name) => {
      let group = this.#byName.get(name)
      if (group === undefined) {
        group = new RiskGroup(name)
        this.#byName.set(name, group)
      }
      return group
    })
  }

  /** Groups that have come under suspicion since the last call. */
  takeFound(): readonly RiskGroup[] {
    const found = this.#found
    this.#found = []
    return found
  }

  /** A path got worse. */
  rose(path: PathRecord, nowUs: number): void {
    this.#risen = this.#risen.filter((each) => each.path !== path && nowUs - each.atUs <= TOGETHER_US)
    this.#risen.push({ path, atUs: nowUs })
    for (const group of path.groups) {
      const risen = group.rose(path, nowUs)
      const outside = this.#paths - group.members.length
      if (risen < LEAST_MEMBERS || risen * 2 < group.members.length || outside === 0) continue
      if (this.#risen.length - risen > outside * OUTSIDE_MOST) continue
      group.suspectUntilUs = nowUs + SUSPECT_US
      if (group.suspect) continue
      group.suspect = true
      for (const member of group.members) member.dirty = true
      this.#suspects.push(group)
      this.#found.push(group)
    }
  }

  /** Returns the groups whose suspicion ended. */
  expire(nowUs: number): readonly RiskGroup[] {
    const ended: RiskGroup[] = []
    for (let i = this.#suspects.length - 1; i >= 0; i--) {
      const group = this.#suspects[i]!
      if (group.suspectUntilUs > nowUs) continue
      group.suspect = false
      for (const member of group.members) member.dirty = true
      this.#suspects.splice(i, 1)
      ended.push(group)
    }
    return ended
  }
}
