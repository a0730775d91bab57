// Observability without a dependency: plain diagnostics channels, free of cost while nobody subscribes.

import { channel } from 'node:diagnostics_channel'

/** Payload: the decision record. */
export const decisionChannel = channel('kvseam:decision')
/** Payload: `{ path, outcome, totalUs, bytes, source }`. */
export const sampleChannel = channel('kvseam:sample')
/** Payload: the probe record. */
export const probeChannel = channel('kvseam:probe')
/** Payload: the transition record. */
export const pathStateChannel = channel('kvseam:path:state')
/** Payload: the outcome record of a moved (or failed) decision. */
export const outcomeChannel = channel('kvseam:outcome')
/** Payload: `{ agent, peer, incarnation, error }`. */
export const peerDownChannel = channel('kvseam:peer:down')
/** Payload: the firing of an injected fault, `{ rule, step, path, op, seq, action, value, seed }`. */
export const faultChannel = channel('kvseam:fault')
