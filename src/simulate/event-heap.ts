// The simulator's calendar: events leave in order of time, and in the order they were put in when their times are equal.

/** What happens at a time; `kind`, `a` and `b` mean whatever the simulation says they do. */
export interface SimulatedEvent {
  atUs: number
  kind: number
  a: number
  b: number
}

/** Binary heap over parallel arrays, so that an event costs no object. */
export class EventHeap {
  #size = 0
  #sequence = 0
  #atUs = new Float64Array(1024)
  #order = new Float64Array(1024)
  #kind = new Int32Array(1024)
  #a = new Int32Array(1024)
  #b = new Int32Array(1024)

  get size(): number {
    return this.#size
  }

  /** Time of the next event; Infinity when there is none. */
  get nextUs(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#atUs[0]!
  }

  push(atUs: number, kind: number, a: number, b: number): void {
    if (this.#size === this.#atUs.length) this.#grow()
    const order = this.#sequence++
    let i = this.#size++
    while (i > 0) {
      const parent = (i - 1) >> 1
      // Later pushes have larger orders, so at equal times the parent stays above.
      if (this.#atUs[parent]! <= atUs) break
      this.#move(parent, i)
      i = parent
    }
    this.#set(i, atUs, order, kind, a, b)
  }

  /** Takes the next event out into `into`. Call it only when `size` is above 0. */
  popInto(into: SimulatedEvent): void {
    into.atUs = this.#atUs[0]!
    into.kind = this.#kind[0]!
    into.a = this.#a[0]!
    into.b = this.#b[0]!
    const last = --this.#size
    if (last === 0) return
    const atUs = this.#atUs[last]!
    const order = this.#order[last]!
    const kind = this.#kind[last]!
    const a = this.#a[last]!
    const b = this.#b[last]!
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= last) break
      if (child + 1 < last && this.#before(child + 1, this.#atUs[child]!, this.#order[child]!)) child++
      if (!this.#before(child, atUs, order)) break
      this.#move(child, i)
      i = child
    }
    this.#set(i, atUs, order, kind, a, b)
  }

  #before(i: number, atUs: number, order: number): boolean {
    const at = this.#atUs[i]!
    return at < atUs || (at === atUs && this.#order[i]! < order)
  }

  #move(from: number, to: number): void {
    this.#set(to, this.#atUs[from]!, this.#order[from]!, this.#kind[from]!, this.#a[from]!, this.#b[from]!)
  }

  #set(i: number, atUs: number, order: number, kind: number, a: number, b: number): void {
    this.#atUs[i] = atUs
    this.#order[i] = order
    this.#kind[i] = kind
    this.#a[i] = a
    this.#b[i] = b
  }

  #grow(): void {
    const length = this.#atUs.length * 2
    const float = (old: Float64Array) => {
      const grown = new Float64Array(length)
      grown.set(old)
      return grown
    }
    const int = (old: Int32Array) => {
      const grown = new Int32Array(length)
      grown.set(old)
      return grown
    }
    this.#atUs = float(this.#atUs) as Float64Array<ArrayBuffer>
    this.#order = float(this.#order) as Float64Array<ArrayBuffer>
    this.#kind = int(this.#kind) as Int32Array<ArrayBuffer>
    this.#a = int(this.#a) as Int32Array<ArrayBuffer>
    this.#b = int(this.#b) as Int32Array<ArrayBuffer>
  }
}
