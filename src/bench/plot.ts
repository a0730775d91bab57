// Plots as SVG text: no script, no style sheet from elsewhere, colours that hold on light and dark paper.

export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Axis {
  readonly title: string
  readonly log: boolean
  readonly format: (value: number) => string
  /** Marks to draw; chosen from the values unless given. */
  readonly marks?: readonly number[]
}

export interface Range {
  readonly name: string
  /** Ascending; the line goes from the first to the last, with a mark at each. */
  readonly values: readonly number[]
}

const WIDTH = 880
const LEFT = 84
const RIGHT = 24
const TOP = 14
const BOTTOM = 46
const COLOURS = ['#2f6fde', '#d9622b', '#2a9d5c', '#b0438f', '#8a6d00', '#0f8f9e', '#c2323b', '#6b5bd2']

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length]!
}

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** Lines over two axes. Points that an axis cannot show (0 on a logarithmic one) are left out. */
export function linePlot(series: readonly Series[], x: Axis, y: Axis, height = 320): string {
  const shown = series.map(({ name, points }) => ({
    name,
    points: points.filter(([px, py]) => (!x.log || px > 0) && (!y.log || py > 0)),
  }))
  const all = shown.flatMap(({ points }) => points)
  if (all.length === 0) return '<p>nothing to plot</p>'
  const across = scale(
    all.map(([px]) => px),
    x,
    LEFT,
    WIDTH - RIGHT,
  )
  const up = scale(
    all.map(([, py]) => py),
    y,
    height - BOTTOM,
    TOP,
  )
  const lines = shown.map(({ name, points }, i) => {
    const at = points.map(([px, py]) => `${across.at(px).toFixed(1)},${up.at(py).toFixed(1)}`)
    const dots =
      points.length > 40
        ? ''
        : at.map((xy) => `<circle cx="${xy.split(',')[0]}" cy="${xy.split(',')[1]}" r="3"/>`).join('')
    return `<g fill="${colourOf(i)}" stroke="${colourOf(i)}"><title>${escaped(name)}</title><polyline fill="none" stroke-width="1.8" points="${at.join(' ')}"/>${dots}</g>`
  })
  return svg(height, [...grid(across, up, x, y, height), ...lines])
}

/** One row a range on a common logarithmic axis: a line with a mark at every value. */
export function rangePlot(ranges: readonly Range[], x: Axis): string {
  const values = ranges.flatMap((range) => range.values).filter((value) => value > 0)
  if (values.length === 0) return '<p>nothing to plot</p>'
  const height = TOP + BOTTOM + ranges.length * 26
  const left = 330
  const across = scale(values, x, left, WIDTH - RIGHT)
  const rows = ranges.map((range, i) => {
    const at = TOP + 18 + i * 26
    const marks = range.values.filter((value) => value > 0).map((value) => across.at(value))
    const line =
      marks.length === 0
        ? ''
        : `<line x1="${marks[0]!.toFixed(1)}" x2="${marks.at(-1)!.toFixed(1)}" y1="${at}" y2="${at}" stroke-width="2"/>`
    const dots = marks.map((mark) => `<circle cx="${mark.toFixed(1)}" cy="${at}" r="3.5"/>`).join('')
    return `<text x="${left - 10}" y="${at + 4}" text-anchor="end">${escaped(range.name)}</text><g fill="${colourOf(i)}" stroke="${colourOf(i)}">${line}${dots}</g>`
  })
  const marks = across.marks.map(
    (mark) =>
      `<line class="grid" x1="${across.at(mark).toFixed(1)}" x2="${across.at(mark).toFixed(1)}" y1="${TOP}" y2="${height - BOTTOM}"/><text x="${across.at(mark).toFixed(1)}" y="${height - BOTTOM + 18}" text-anchor="middle">${escaped(x.format(mark))}</text>`,
  )
  return svg(height, [...marks, title(x.title, (left + WIDTH) / 2, height - 8), ...rows])
}

interface Scale {
  readonly marks: readonly number[]
  at(value: number): number
}

function scale(values: readonly number[], axis: Axis, from: number, to: number): Scale {
  const [low, high] = span(values, axis)
  const place = axis.log ? (value: number) => Math.log10(value) : (value: number) => value
  const [first, last] = [place(low), place(high)]
  return {
    marks: axis.marks ?? (axis.log ? decades(low, high) : steps(low, high)),
    at: (value) => from + ((place(value) - first) / (last - first)) * (to - from),
  }
}

function span(values: readonly number[], { log, marks = [] }: Axis): [number, number] {
  const all = [...values, ...marks]
  const least = Math.min(...all)
  const most = Math.max(...all)
  if (!log) return [0, most === 0 ? 1 : most * 1.05]
  if (marks.length > 1) return [least, most]
  const low = 10 ** Math.floor(Math.log10(least))
  const high = 10 ** Math.ceil(Math.log10(most))
  return [low, high === low ? low * 10 : high]
}

function decades(low: number, high: number): number[] {
  const marks: number[] = []
  for (let mark = low; mark <= high * 1.0001; mark *= 10) marks.push(mark)
  return marks
}

function steps(low: number, high: number): number[] {
  const raw = (high - low) / 5
  const unit = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((each) => each >= raw)!
  const marks: number[] = []
  for (let mark = Math.ceil(low / step) * step; mark <= high; mark += step) marks.push(mark)
  return marks
}

function grid(across: Scale, up: Scale, x: Axis, y: Axis, height: number): string[] {
  return [
    ...across.marks.map((mark) => {
      const at = across.at(mark).toFixed(1)
      return `<line class="grid" x1="${at}" x2="${at}" y1="${TOP}" y2="${height - BOTTOM}"/><text x="${at}" y="${height - BOTTOM + 18}" text-anchor="middle">${escaped(x.format(mark))}</text>`
    }),
    ...up.marks.map((mark) => {
      const at = up.at(mark).toFixed(1)
      return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/><text x="${LEFT - 8}" y="${Number(at) + 4}" text-anchor="end">${escaped(y.format(mark))}</text>`
    }),
    title(x.title, (LEFT + WIDTH) / 2, height - 8),
    `<text class="title" transform="translate(14 ${(height - BOTTOM + TOP) / 2}) rotate(-90)" text-anchor="middle">${escaped(y.title)}</text>`,
  ]
}

function title(text: string, x: number, y: number): string {
  return `<text class="title" x="${x}" y="${y}" text-anchor="middle">${escaped(text)}</text>`
}

function svg(height: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img">${parts.join('')}</svg>`
}
