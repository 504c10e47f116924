// AudioWorklet: plays four stems with their gains through an adaptive jitter buffer. Knows positions; knows no server.
//
// Starts with 80 ms in the buffer; every underrun makes it 20 ms more, a calm minute 10 ms less. What has been in it for
// three seconds without need, and what is above the most, is skipped with a cross-fade of 20 ms. Every stop and start
// is faded over 5 ms: it never clicks.

const STEMS = 4;
const START = 0.08;
const MOST = 0.6;
const LEAST = 0.04;
const SPARE = 0.04; // above the target that is not worth a skip
const WATCH = 3;
const CROSS = 0.02;

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.length = 1 << Math.ceil(Math.log2(2 * sampleRate));
    this.ring = Array.from({ length: 2 * STEMS }, () => new Float32Array(this.length));
    this.gains = new Float32Array(STEMS).fill(1);
    this.targets = new Float32Array(STEMS).fill(1);
    this.slow = 1 - Math.exp(-1 / (0.005 * sampleRate));
    this.target = START;
    this.clear();
    this.port.onmessage = ({ data }) => this.hear(data);
  }

  clear() {
    this.write = this.read = 0; // positions in samples
    this.begun = this.playing = false;
    this.fade = 0;
    this.peaks = new Float32Array(STEMS);
    this.sent = this.underruns = this.dropped = this.calm = this.watched = 0;
    this.least = Infinity; // samples in the buffer, since the last look
    this.skip = this.crossed = 0; // samples to be skipped, and how far the cross-fade over them is
  }

  hear(message) {
    if (message.gains) this.targets.set(message.gains);
    if (message.clear) this.clear();
    if (message.stems) this.store(message);
  }

  store({ position, count, stems }) {
    if (!this.begun || position > this.write + this.length / 2 || position < this.read) {
      this.read = this.write = position;
      this.begun = true;
      this.playing = false;
      this.skip = 0;
    }
    for (; this.write < position; this.write++) for (const part of this.ring) part[this.write % this.length] = 0; // a gap
    stems.forEach((stem, s) => {
      for (let i = 0; i < count; i++) {
        const at = (position + i) % this.length;
        this.ring[2 * s][at] = stem[2 * i];
        this.ring[2 * s + 1][at] = stem[2 * i + 1];
      }
    });
    this.write = position + count;
    const waiting = this.write - this.read;
    if (waiting > (this.target + MOST) * sampleRate) this.jump(waiting - Math.round(this.target * sampleRate));
  }

  /** Skip `count` samples: at once when nothing is heard, else with a cross-fade. */
  jump(count) {
    if (this.skip) return;
    this.dropped += count;
    if (this.playing) [this.skip, this.crossed] = [count, 0];
    else this.read += count;
  }

  /** One sample of the ring, or two weighed together while a skip is on its way. */
  at(part) {
    const here = part[this.read % this.length];
    if (!this.skip) return here;
    const weight = this.crossed / (CROSS * sampleRate);
    return here * (1 - weight) + part[(this.read + this.skip) % this.length] * weight;
  }

  advance() {
    this.read++;
    if (this.skip && ++this.crossed >= CROSS * sampleRate) {
      this.read += this.skip;
      this.skip = 0;
    }
  }

  /** What lay in the buffer all the time is not needed there. */
  watch(count) {
    this.least = Math.min(this.least, this.write - this.read);
    this.watched += count;
    if (this.watched < WATCH * sampleRate) return;
    const over = this.least - Math.round(this.target * sampleRate);
    if (this.playing && over > SPARE * sampleRate) this.jump(over);
    this.watched = 0;
    this.least = Infinity;
  }

  process(_, [output]) {
    const [left, right] = output;
    const waiting = this.write - this.read;
    if (!this.playing && this.begun && waiting >= this.target * sampleRate) this.playing = true;
    const rest = Math.round(0.005 * sampleRate); // samples of fade
    for (let i = 0; i < left.length; i++) {
      const have = this.write - this.read;
      const goal = this.playing && have > rest ? 1 : 0; // fades out on its last 5 ms
      this.fade += Math.max(-1 / rest, Math.min(1 / rest, goal - this.fade));
      let l = 0, r = 0;
      if (this.playing && have > 0) {
        for (let s = 0; s < STEMS; s++) {
          this.gains[s] += (this.targets[s] - this.gains[s]) * this.slow;
          const a = this.at(this.ring[2 * s]) * this.gains[s], b = this.at(this.ring[2 * s + 1]) * this.gains[s];
          this.peaks[s] = Math.max(this.peaks[s], Math.abs(a), Math.abs(b));
          l += a;
          r += b;
        }
        this.advance();
      } else if (this.playing) {
        this.playing = false;
        this.fade = 0;
        this.underruns++;
        this.calm = 0;
        this.target = Math.min(MOST, this.target + 0.02);
      }
      left[i] = l * this.fade;
      if (right) right[i] = r * this.fade;
    }
    this.watch(left.length);
    this.report(left.length);
    return true;
  }

  report(count) {
    this.calm += count;
    if (this.calm > 60 * sampleRate) {
      this.calm = 0;
      this.target = Math.max(LEAST, this.target - 0.01);
    }
    this.sent += count;
    if (this.sent < 0.04 * sampleRate) return;
    this.sent = 0;
    const { peaks, read, playing, target, underruns, dropped } = this;
    this.port.postMessage({ peaks: [...peaks], position: read, playing, target, underruns, dropped });
    peaks.fill(0);
  }
}

registerProcessor("playback", Playback);
