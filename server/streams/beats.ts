/** The clock of heartbeats: one timer for all streams of one period, so that a thousand streams are not a thousand timers. */

export interface Beating {
  /** Called three times a period. */
  beat(): void;
}

export interface Clock {
  add(stream: Beating): void;
  delete(stream: Beating): void;
}

const clocks = new Map<number, Clock>();

/** The clock of this period (ms). It ticks while it has streams. */
export function beating(periodMs: number): Clock {
  const known = clocks.get(periodMs);
  if (known !== undefined) return known;
  const streams = new Set<Beating>();
  let timer: ReturnType<typeof setInterval> | undefined;
  const clock: Clock = {
    add(stream) {
      streams.add(stream);
      timer ??= setInterval(() => {
        for (const each of [...streams]) each.beat();
      }, periodMs / 3);
    },
    delete(stream) {
      if (!streams.delete(stream) || streams.size > 0) return;
      clearInterval(timer);
      timer = undefined;
      clocks.delete(periodMs);
    },
  };
  clocks.set(periodMs, clock);
  return clock;
}
