// Where the music comes from. Each source gives an audio node to listen to, and how to stop it.

const RAW = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 2 };

/** Microphone or line-in; `device` is an id or "". */
export async function line(context, device) {
  const audio = device ? { ...RAW, deviceId: { exact: device } } : RAW;
  return fromStream(context, await navigator.mediaDevices.getUserMedia({ audio }));
}

/** The sound of another tab; the browser asks which, and only offers it together with the picture. */
export async function tab(context) {
  const stream = await navigator.mediaDevices.getDisplayMedia({
    video: true,
    audio: { ...RAW, suppressLocalAudioPlayback: true },
  });
  stream.getVideoTracks().forEach((track) => track.stop());
  if (!stream.getAudioTracks().length) throw new Error("That source shares no sound; choose a tab and tick its sound");
  return fromStream(context, stream);
}

/** A local file, played once. */
export async function file(context, chosen) {
  if (!chosen) throw new Error("Choose a file first");
  const node = new AudioBufferSourceNode(context, { buffer: await context.decodeAudioData(await chosen.arrayBuffer()) });
  return {
    node,
    begin: () => node.start(),
    stop: () => node.stop(),
    onEnd: (call) => (node.onended = call),
  };
}

/** The inputs that the browser tells of: [{id, name}]. */
export async function inputs() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices
    .filter(({ kind, deviceId }) => kind === "audioinput" && deviceId)
    .map(({ deviceId, label }, i) => ({ id: deviceId, name: label || `Input ${i + 1}` }));
}

function fromStream(context, stream) {
  const track = stream.getAudioTracks()[0];
  return {
    node: new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) }),
    begin: () => {},
    stop: () => stream.getTracks().forEach((each) => each.stop()),
    onEnd: (call) => (track.onended = call),
  };
}
