// Where an orchestrator's records go: the log, if one was named, and Node's diagnostics channels.

import { decisionChannel, outcomeChannel, pathStateChannel, probeChannel } from '../observe/channels.js'
import type { RecordLog } from './record-log.js'
import type { RecordStream, StreamRecord } from './recorded-policy.js'

export function recordStream(
  log: RecordLog | undefined,
  surroundings: Pick<RecordStream, 'epoch' | 'label' | 'faulted'>,
): RecordStream {
  return {
    ...surroundings,
    wanted: () =>
      log !== undefined ||
      decisionChannel.hasSubscribers ||
      pathStateChannel.hasSubscribers ||
      outcomeChannel.hasSubscribers ||
      probeChannel.hasSubscribers,
    write: (record: StreamRecord) => {
      log?.write(record)
      if (record.schema === 'kvseam.decision/1') decisionChannel.publish(record)
      else if (record.schema === 'kvseam.transition/1') pathStateChannel.publish(record)
      else if (record.schema === 'kvseam.outcome/1') outcomeChannel.publish(record)
      else if (record.schema === 'kvseam.probe/1') probeChannel.publish(record)
    },
  }
}
