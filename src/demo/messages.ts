// What the prefill process and its decode processes say to each other beside the data plane: the control channel.

import type { RailOptions } from '../native/agent.js'
import type { DemoPlan } from './plan.js'

/** Given to a decode process as its one argument, as JSON. */
export interface DecodeSetup {
  readonly name: string
  readonly backend: string
  readonly rails: readonly RailOptions[]
  readonly plan: Pick<DemoPlan, 'parts' | 'blockBytes' | 'poolBlocks'>
}

export type ToDecode =
  /** Blocks of a request are on their way. */
  | { readonly kind: 'expect'; readonly id: number; readonly ids: readonly number[]; readonly holdMs: number }
  /** They are not coming after all. */
  | { readonly kind: 'forget'; readonly id: number }
  | { readonly kind: 'stop' }

export type FromDecode =
  | { readonly kind: 'ready'; readonly metadata: string }
  | { readonly kind: 'verified'; readonly id: number; readonly ok: boolean; readonly found: number }
  /** The request has been decoded; its blocks are free again. */
  | { readonly kind: 'released'; readonly id: number }
  | { readonly kind: 'failed'; readonly message: string }

/** The notification that rides on the transfer: request number and digest of the source blocks. */
export function encodeArrival(id: number, digest: number): Uint8Array {
  const out = new Uint8Array(8)
  const view = new DataView(out.buffer)
  view.setUint32(0, id)
  view.setUint32(4, digest)
  return out
}

export function decodeArrival(data: Uint8Array): { id: number; digest: number } {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  return { id: view.getUint32(0), digest: view.getUint32(4) }
}
