// Four strips: fader, mute, solo, meter. Knows the page's elements; tells gains, knows no sound.

export const STEMS = ["vocals", "drums", "bass", "other"];

const LOWEST = -60; // dB, the foot of a meter

export class Desk {
  /** `changed(gains)` is called with four numbers whenever a control moves. */
  constructor(element, template, changed) {
    this.changed = changed;
    this.strips = STEMS.map((name) => this.strip(element, template, name));
  }

  strip(element, template, name) {
    const root = template.content.firstElementChild.cloneNode(true);
    const find = (what) => root.querySelector(what);
    const strip = {
      root, level: 0, fader: find("input"), mute: find(".mute"), solo: find(".solo"), said: find("output"), bar: find("i"),
    };
    root.style.setProperty("--color", `var(--${name})`);
    find("h2").textContent = name;
    strip.fader.setAttribute("aria-label", `${name} level`);
    strip.mute.setAttribute("aria-label", `Mute ${name}`);
    strip.solo.setAttribute("aria-label", `Solo ${name}`);
    strip.fader.addEventListener("input", () => this.tell());
    strip.fader.addEventListener("dblclick", () => {
      strip.fader.value = 1;
      this.tell();
    });
    for (const button of [strip.mute, strip.solo]) button.addEventListener("click", () => this.toggle(button));
    element.append(root);
    return strip;
  }

  mute(index) {
    this.toggle(this.strips[index].mute);
  }

  solo(index) {
    this.toggle(this.strips[index].solo);
  }

  toggle(button) {
    button.setAttribute("aria-pressed", String(!pressed(button)));
    this.tell();
  }

  gains() {
    const soloed = this.strips.some(({ solo }) => pressed(solo));
    return this.strips.map(({ fader, mute, solo }) => (pressed(mute) || (soloed && !pressed(solo)) ? 0 : Number(fader.value)));
  }

  tell() {
    const gains = this.gains();
    this.strips.forEach(({ root, fader, said }, i) => {
      const value = Number(fader.value);
      said.textContent = value ? `${(20 * Math.log10(value)).toFixed(1)} dB` : "off";
      fader.setAttribute("aria-valuetext", said.textContent);
      root.classList.toggle("silent", !gains[i]);
    });
    this.changed(gains);
  }

  /** Peaks of four stems since the last call; the bars fall slowly. */
  meters(peaks) {
    this.strips.forEach((strip, i) => {
      const height = Math.max(0, 1 - (20 * Math.log10(peaks[i] || 1e-6)) / LOWEST);
      strip.level = Math.max(height, strip.level - 0.03);
      strip.bar.style.transform = `scaleY(${Math.min(1, strip.level)})`;
      strip.bar.classList.toggle("over", peaks[i] > 1);
    });
  }
}

function pressed(button) {
  return button.getAttribute("aria-pressed") === "true";
}
