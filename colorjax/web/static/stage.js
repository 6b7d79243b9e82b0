// The photo: before and after with a slider, zoom and pan, rings where colors were set, a palette beside the place.
const SHOWN = 2048; // longest side in pixels of the server's pictures; beyond it, the full size is loaded
const CLOSEST = 16; // most screen pixels per pixel of the photo
const SEEN = 256; // screen pixels of the longest side to which a tiny photo is enlarged
const SLIP = 6; // pixels that the pointer may move in a click
const KEPT = 12; // pictures that are kept

const hex = (color) => "#" + color.map((level) => level.toString(16).padStart(2, "0")).join("");
const levels = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

const made = []; // addresses of pictures, in the order in which they were made

async function picture(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(answer.statusText);
  const source = URL.createObjectURL(await answer.blob());
  const image = new Image();
  image.src = source;
  await image.decode();
  made.push(source);
  if (made.length > KEPT) URL.revokeObjectURL(made.shift());
  return source;
}

export default {
  props: { photo: Object },
  emits: ["mark", "unmark", "undo", "redo"],
  template: `
<section class="stage" ref="stage" :class="{brushing: tool == 'brush', zoomed}" aria-label="The photo"
    @wheel="wheel" @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="cancel" @dblclick="twice">
  <div class="layer"><img v-if="before" :src="before" :style="placed" :alt="photo.name + ', as it was'" draggable="false"></div>
  <div class="layer" :style="{clipPath: 'inset(0 0 0 ' + edge + 'px)'}">
    <img v-if="after" :src="trial || after" :style="placed" :alt="photo.name + ', in color'" draggable="false">
  </div>
  <div class="waiting" v-if="!after" role="status">{{ photo.failed ? photo.told : "Coloring …" }}</div>
  <span class="side" v-if="after && split > 0.15" :style="sides.before" aria-hidden="true">Before</span>
  <span class="side" v-if="after && split < 0.85" :style="sides.after" aria-hidden="true">After</span>
  <svg class="strokes" aria-hidden="true" v-if="strokes.length">
    <polyline v-for="stroke in strokes" :points="stroke.points" :stroke-width="stroke.width" :stroke="stroke.color"/>
  </svg>
  <button v-for="(ring, i) in rings" class="ring" :class="{chosen: asked && asked.instead == i}" :style="ring.style"
    :aria-label="'Color ' + (i + 1) + ', ' + ring.name + ': change or remove it'"
    @pointerdown.stop @click.stop="again(i)" @keydown.delete.prevent="$emit('unmark', i)"></button>
  <span class="ring asking" v-if="asked && asked.instead == null" :style="spot(asked)"></span>
  <div class="divider" v-if="after" :style="{left: edge + 'px'}" @pointerdown.stop="grab" @pointermove.stop="slide"
      @pointerup.stop="drop" @pointercancel.stop="drop" @dblclick.stop>
    <input type="range" min="0" max="100" step="1" :value="Math.round(100 * split)" aria-label="Where color begins"
      :aria-valuetext="Math.round(100 * split) + ' % from the left'" @input="split = $event.target.value / 100">
    <span class="handle" aria-hidden="true"></span>
  </div>
  <button class="cross" v-if="cross" ref="cross" :style="spot(cross)" @keydown="steer" @blur="cross = null" @pointerdown.stop
    :aria-label="'Place, ' + percent(cross.column, photo.width) + ' from the left, ' + percent(cross.row, photo.height)
      + ' from the top; arrow keys move it, Enter shows its colors'"></button>
  <div class="tools" v-if="photo.ready" @pointerdown.stop @dblclick.stop role="toolbar" aria-label="View and tools">
    <button @click="zoom(1 / 1.5)" aria-label="Zoom out" title="Zoom out (−)"><i>remove</i></button>
    <button @click="whole" class="share" :aria-label="'Zoom ' + share + ' %; show at 100 %'" title="100 % (1)">{{ share }} %</button>
    <button @click="zoom(1.5)" aria-label="Zoom in" title="Zoom in (+)"><i>add</i></button>
    <button @click="fit" aria-label="Fit to the window" title="Fit (0)"><i>fit_screen</i></button>
    <span class="line"></span>
    <button @click="tool = 'point'" :aria-pressed="tool == 'point'" aria-label="Color a place: click the photo" title="Color a place"><i>colorize</i></button>
    <button @click="tool = 'brush'" :aria-pressed="tool == 'brush'" aria-label="Color an area: brush over it" title="Color an area"><i>brush</i></button>
    <input v-if="tool == 'brush'" type="range" min="8" max="80" v-model.number="brush" aria-label="Size of the brush">
    <button @click="aim" class="aim" aria-label="Choose a place with the keyboard" title="Choose a place with the keyboard"><i>control_camera</i></button>
  </div>
  <div class="palette" v-if="asked" ref="palette" role="dialog" :aria-label="asked.radius ? 'Colors for this area' : 'Colors for this place'"
      :style="beside" @pointerdown.stop @dblclick.stop @keydown.esc.stop="dismiss" @wheel.stop>
    <header><b>{{ asked.instead != null ? "Change this color" : asked.radius ? "Color this area" : "Color this place" }}</b>
      <button class="plain" @click="dismiss" aria-label="Close"><i>close</i></button></header>
    <div class="swatches" role="group" aria-label="Likely colors">
      <button v-for="swatch in asked.colors" :style="{background: hex(swatch.color)}" :aria-label="swatch.name" :title="swatch.name"
        @pointerenter="attempt(swatch.color)" @pointerleave="attempt(null)" @focus="attempt(swatch.color)" @blur="attempt(null)"
        @click="give(swatch.color)"></button>
      <span v-if="!asked.colors" class="waiting">Finding colors …</span>
    </div>
    <label class="any">Any other color
      <input type="color" v-model="other" @input="attempt(levels(other))" @change="give(levels(other))"></label>
    <button v-if="asked.instead != null" class="away" @click="$emit('unmark', asked.instead); dismiss()">Remove this color</button>
  </div>
</section>`,
  data: () => ({
    before: null, after: null, trial: null, wide: 0, high: 0, scale: 1, x: 0, y: 0, split: 0.5, tool: "point", brush: 28,
    path: null, asked: null, cross: null, other: "#b08060", pointers: {}, fitted: true,
  }),
  created() {
    this.turn = 0; // counts what is tried
    this.full = ""; // the version that is shown at full size
  },
  computed: {
    least() {
      const { width, height } = this.photo;
      return Math.min(this.wide / width, this.high / height, Math.max(3, SEEN / Math.max(width, height))) || 1;
    },
    zoomed() { return this.scale > this.least * 1.001; },
    share() { return Math.round(100 * this.scale * devicePixelRatio); },
    placed() {
      return { width: this.photo.width + "px", height: this.photo.height + "px",
        transform: `translate(${this.x}px, ${this.y}px) scale(${this.scale})` };
    },
    seen() { // the part of the photo that is visible on the stage
      const right = Math.min(this.wide, this.x + this.photo.width * this.scale);
      return { left: Math.max(0, this.x), right };
    },
    sides() { // the labels, beside the photo if there is no room on it
      const { left, right } = this.seen;
      return right - left < 160
        ? { before: { right: this.wide - left + 8 + "px" }, after: { left: right + 8 + "px" } }
        : { before: { left: left + 12 + "px" }, after: { right: this.wide - right + 12 + "px" } };
    },
    edge() { return this.seen.left + this.split * (this.seen.right - this.seen.left); },
    rings() {
      return this.photo.marks.map((mark) => ({
        name: mark.name, style: { ...this.spot(this.middle(mark.path)), "--color": hex(mark.color) },
      }));
    },
    strokes() {
      const shown = [];
      const chosen = this.asked && this.asked.instead != null && this.photo.marks[this.asked.instead];
      if (this.path) shown.push({ path: this.path, radius: this.brush / this.scale, color: "#fff8" });
      else if (this.asked?.radius && !this.trial) shown.push({ ...this.asked, color: "#fff6" });
      else if (chosen?.radius && !this.trial) shown.push({ ...chosen, color: "#fff6" });
      return shown.map(({ path, radius, color }) => ({
        color, width: 2 * radius * this.scale, // a stroke at one place is a line of length 0
        points: [...path, path[path.length - 1]].map(([row, column]) => this.at(row, column).join()).join(" "),
      }));
    },
    beside() {
      const { row, column } = this.asked, [x, y] = this.at(row, column);
      const left = x + 24 + 264 < this.wide ? x + 24 : x - 24 - 264;
      return { left: clamp(left, 8, this.wide - 272) + "px", top: clamp(y - 60, 8, this.high - 300) + "px" };
    },
  },
  watch: {
    "photo.key": "open",
    "photo.version": "color",
    "photo.ready"(ready) { if (ready && !this.before) this.open(); },
  },
  mounted() {
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.$refs.stage);
    this.measure();
    this.open();
    this.keys = (event) => this.key(event);
    addEventListener("keydown", this.keys);
  },
  unmounted() {
    this.observer.disconnect();
    removeEventListener("keydown", this.keys);
  },
  methods: {
    hex,
    levels,
    address(what, more = "") { return `/photos/${this.photo.key}/${what}?v=${this.photo.version}${more}`; },
    percent: (part, all) => Math.round((100 * part) / all) + " %",
    middle(path) { const [row, column] = path[Math.floor(path.length / 2)]; return { row, column }; },
    at(row, column) { return [this.x + (column + 0.5) * this.scale, this.y + (row + 0.5) * this.scale]; },
    spot({ row, column }) { const [x, y] = this.at(row, column); return { left: x + "px", top: y + "px" }; },

    // pictures
    measure() {
      const { clientWidth, clientHeight } = this.$refs.stage;
      [this.wide, this.high] = [clientWidth, clientHeight];
      this.fitted ? this.fit() : this.hold();
    },
    async open() {
      this.dismiss();
      this.before = this.after = null;
      this.full = "";
      this.fit();
      scrollTo(0, 0);
      if (!this.photo.ready) return;
      const key = this.photo.key;
      const before = await picture(this.address("before")).catch(() => null);
      if (key != this.photo.key) return;
      this.before = before;
      await this.color();
    },
    async color() { // load the latest coloring; what was tried stays until then
      const asked = this.address("after");
      if (!this.photo.ready) return;
      const after = await picture(asked).catch(() => null);
      if (asked != this.address("after")) return;
      this.halt();
      [this.after, this.trial, this.full] = [after, null, ""];
      this.sharpen();
    },
    sharpen() { // load the full size when the zoom needs it
      clearTimeout(this.patience);
      const { key, version, width, height } = this.photo, longest = Math.max(width, height);
      const wanted = `${key} ${version}`;
      const shows = longest > SHOWN && this.scale * devicePixelRatio > (1.1 * SHOWN) / longest;
      if (!shows || this.full == wanted) return;
      this.patience = setTimeout(async () => {
        const both = ["before", "after"].map((what) => picture(this.address(what, "&whole=true")));
        const [before, after] = await Promise.all(both).catch(() => []);
        if (after && wanted == `${this.photo.key} ${this.photo.version}`) {
          [this.before, this.after, this.full] = [before, after, wanted];
        }
      }, 250);
    },

    // zoom and pan
    fit() {
      this.fitted = true;
      this.scale = this.least;
      this.hold();
    },
    whole() { this.zoom(1 / devicePixelRatio / this.scale); },
    zoom(factor, x = this.wide / 2, y = this.high / 2) {
      const scale = clamp(this.scale * factor, Math.min(this.least, 1 / devicePixelRatio), Math.max(this.least, CLOSEST));
      this.x = x - ((x - this.x) * scale) / this.scale;
      this.y = y - ((y - this.y) * scale) / this.scale;
      this.scale = scale;
      this.fitted = Math.abs(scale / this.least - 1) < 0.001;
      this.hold();
      this.sharpen();
    },
    hold() { // keep the photo in the stage: centered if it is smaller, without a gap if it is larger
      const inside = (at, photo, stage) => photo < stage ? (stage - photo) / 2 : clamp(at, stage - photo, 0);
      this.x = inside(this.x, this.photo.width * this.scale, this.wide);
      this.y = inside(this.y, this.photo.height * this.scale, this.high);
    },
    wheel(event) { // zoom with Ctrl or a pinch on a touchpad; otherwise the page scrolls
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 200), ...this.on(event));
    },
    twice(event) { this.zoomed ? this.fit() : this.zoom(1 / devicePixelRatio / this.scale, ...this.on(event)); },
    on(event) {
      const { left, top } = this.$refs.stage.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    },
    pixel(event) {
      const [x, y] = this.on(event);
      const column = Math.floor((x - this.x) / this.scale), row = Math.floor((y - this.y) / this.scale);
      return row >= 0 && column >= 0 && row < this.photo.height && column < this.photo.width ? [row, column] : null;
    },

    // pointers: one clicks, pans or brushes; two pinch
    down(event) {
      if (event.button) return;
      this.$refs.stage.setPointerCapture(event.pointerId);
      this.pointers[event.pointerId] = { x: event.clientX, y: event.clientY, from: [event.clientX, event.clientY] };
      if (Object.keys(this.pointers).length > 1) this.path = null;
      else if (this.tool == "brush" && this.after) {
        const place = this.pixel(event);
        this.path = place && [place];
        this.asked = null;
      }
    },
    move(event) {
      const pointer = this.pointers[event.pointerId];
      if (!pointer) return;
      const all = Object.values(this.pointers), dx = event.clientX - pointer.x, dy = event.clientY - pointer.y;
      if (all.length == 2) {
        const [other] = all.filter((each) => each != pointer);
        const gap = (x, y) => Math.hypot(x - other.x, y - other.y) || 1;
        const factor = gap(event.clientX, event.clientY) / gap(pointer.x, pointer.y);
        this.zoom(factor, ...this.on({ clientX: (event.clientX + other.x) / 2, clientY: (event.clientY + other.y) / 2 }));
        pointer.moved = other.moved = true;
      } else if (this.path) {
        const place = this.pixel(event), last = this.path[this.path.length - 1];
        const far = place && Math.hypot(place[0] - last[0], place[1] - last[1]) * this.scale > this.brush / 4;
        if (far && this.path.length < 1500) this.path.push(place);
      } else if (pointer.moved || Math.hypot(event.clientX - pointer.from[0], event.clientY - pointer.from[1]) > SLIP) {
        pointer.moved = true;
        this.x += dx;
        this.y += dy;
        this.hold();
      }
      [pointer.x, pointer.y] = [event.clientX, event.clientY];
    },
    up(event) {
      const pointer = this.pointers[event.pointerId];
      delete this.pointers[event.pointerId];
      if (!pointer || !this.after) return;
      if (this.path) {
        this.ask({ ...this.middle(this.path), path: this.path, radius: Math.max(1, Math.round(this.brush / this.scale)) });
        this.path = null;
      } else if (!pointer.moved) {
        const place = this.pixel(event);
        if (this.asked) this.dismiss();
        else if (place) this.ask({ row: place[0], column: place[1], path: [place], radius: 0 });
      }
    },
    cancel(event) {
      delete this.pointers[event.pointerId];
      this.path = null;
    },
    grab(event) {
      this.grabbed = event.clientX - this.$refs.stage.getBoundingClientRect().left - this.edge;
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    slide(event) {
      if (this.grabbed == null) return;
      const { left, right } = this.seen;
      this.split = clamp((this.on(event)[0] - this.grabbed - left) / (right - left), 0, 1);
    },
    drop() { this.grabbed = null; },

    // colors
    async ask(place, byKey = false) {
      this.dismiss();
      this.asked = { instead: null, colors: null, ...place };
      if (place.path.some(([row, column]) => this.at(row, column)[0] <= this.edge)) this.split = 0; // where the change is seen
      const asked = this.asked, { row, column } = place;
      const answer = await fetch(this.address("palette", `&row=${row}&column=${column}`));
      if (this.asked !== asked) return;
      asked.colors = answer.ok ? await answer.json() : [];
      if (byKey) this.$nextTick(() => this.$refs.palette?.querySelector(".swatches button")?.focus());
    },
    again(number) {
      const mark = this.photo.marks[number];
      this.ask({ ...this.middle(mark.path), path: mark.path, radius: mark.radius, instead: number }, true);
    },
    dismiss() {
      this.asked = null;
      this.attempt(null);
    },
    attempt(color) { // preview a color
      if (!color || !this.asked) return this.preview(null);
      const { path, radius, instead } = this.asked;
      const mark = encodeURIComponent(JSON.stringify({ color, path, radius }));
      this.preview(`&mark=${mark}` + (instead == null ? "" : `&instead_of=${instead}`));
    },
    vivid(vividness) { this.preview(vividness == null ? null : `&vividness=${vividness}`); }, // preview a vividness
    preview(more) {
      const turn = this.halt();
      this.pause = setTimeout(async () => {
        const trial = more && await picture(this.address("after", more)).catch(() => null);
        if (turn == this.turn) this.trial = trial;
      }, 40);
    },
    halt() { // forget what is being tried, and return the number of the next turn
      clearTimeout(this.pause);
      return ++this.turn;
    },
    give(color) {
      const { path, radius, instead } = this.asked;
      this.$emit("mark", { color, path, radius, instead });
      this.halt(); // a color that was tried stays until the coloring is loaded
      this.asked = null;
      this.$refs.stage.focus?.();
    },

    // keys
    aim() {
      this.dismiss();
      this.cross = { row: Math.floor(this.photo.height / 2), column: Math.floor(this.photo.width / 2) };
      this.$nextTick(() => this.$refs.cross.focus());
    },
    steer(event) {
      const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      const { width, height } = this.photo, step = Math.max(1, Math.max(width, height) / (event.shiftKey ? 10 : 50));
      if (way) {
        this.cross.row = Math.round(clamp(this.cross.row + way[0] * step, 0, height - 1));
        this.cross.column = Math.round(clamp(this.cross.column + way[1] * step, 0, width - 1));
      } else if (event.key == "Enter") {
        const { row, column } = this.cross;
        this.ask({ row, column, path: [[row, column]], radius: 0 }, true);
      } else if (event.key == "Escape") this.cross = null;
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    key(event) {
      const typing = event.target.closest("input:not([type=range]), select, textarea, [contenteditable], [role=dialog]");
      if (typing || event.altKey) return;
      if (event.ctrlKey || event.metaKey) {
        const back = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
        if (back) event.preventDefault(), this.$emit(back);
        return;
      }
      const act = {
        "+": () => this.zoom(1.5), "=": () => this.zoom(1.5), "-": () => this.zoom(1 / 1.5),
        0: () => this.fit(), 1: () => this.whole(), Escape: () => this.dismiss(),
        b: () => (this.tool = this.tool == "brush" ? "point" : "brush"), c: () => this.aim(),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    },
  },
};
