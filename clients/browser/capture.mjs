// AudioWorklet: collects the source into stereo blocks of 20 ms and hands them to the page. Knows nothing of the server.

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(0.02 * sampleRate);
    this.block = new Float32Array(2 * this.size);
    this.filled = 0;
  }

  process([input]) {
    const left = input[0];
    const right = input[1] ?? left;
    for (let i = 0; i < 128; i++) {
      this.block[2 * this.filled] = left ? left[i] : 0;
      this.block[2 * this.filled + 1] = right ? right[i] : 0;
      if (++this.filled === this.size) {
        this.port.postMessage(this.block, [this.block.buffer]);
        this.block = new Float32Array(2 * this.size);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("capture", Capture);
