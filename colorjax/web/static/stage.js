// The photo: before and after with a slider, zoom and pan, rings where colors were set, places to color.
import { hex } from "parts/colors.js";
import pictures from "parts/pictures.js";
import zoom, { clamp } from "parts/zoom.js";

const SLIP = 6; // pixels that the pointer may move in a click
const BESIDE = 44; // pixels between a color that was set and the slider's line

export default {
  mixins: [pictures, zoom],
  props: { photo: Object },
  emits: ["asked", "mark", "unmark", "undo", "redo", "close"],
  template: `
<section class="stage" ref="stage" :class="{brushing: tool == 'brush', zoomed}" aria-label="The photo" tabindex="-1" @wheel="wheel"
    @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="cancel" @pointerleave="tip = null" @dblclick="twice">
  <div class="layer"><img v-if="before" :src="before" :style="placed" :alt="photo.name + ', as it was'" draggable="false"></div>
  <div class="layer" :style="{clipPath: 'inset(0 0 0 ' + edge + 'px)'}">
    <img v-if="after" :src="trial || after" :style="placed" :alt="photo.name + ', in color'" draggable="false">
  </div>
  <div class="layer" v-if="thumb"><img class="thumb" :src="thumb" :style="placed" alt="" draggable="false"></div>
  <div class="failure" v-if="photo.failed" role="status" @pointerdown.stop>
    <h2>This file cannot be opened</h2><p>{{ photo.told }}</p><button class="secondary" @click="$emit('close')">Remove</button>
  </div>
  <div class="waiting" v-else-if="!after" role="status">{{ photo.painted ? "Opening …" : "Coloring …" }}</div>
  <span class="side" v-if="after && begins > 0.15" :style="sides.before" aria-hidden="true">Before</span>
  <span class="side" v-if="after && begins < 0.85" :style="sides.after" aria-hidden="true">After</span>
  <svg class="strokes" aria-hidden="true" v-if="strokes.length">
    <polyline v-for="stroke in strokes" :points="stroke.points" :stroke-width="stroke.width" :stroke="stroke.color"/>
  </svg>
  <span class="tip" v-if="tool == 'brush' && tip" :style="{left: tip[0] + 'px', top: tip[1] + 'px', width: 2 * brush + 'px', height: 2 * brush + 'px'}"></span>
  <button v-for="(ring, i) in rings" class="ring" :class="{chosen: i == asked?.instead || i == hovered}" :style="ring.style"
    :aria-label="'Color ' + (i + 1) + ', ' + ring.name + ': change or remove it'" @pointerenter="hovered = i" @pointerleave="hovered = null"
    @focus="hovered = i" @blur="hovered = null" @pointerdown.stop @click.stop="again(i)" @keydown.delete.prevent="$event.repeat || $emit('unmark', i)"></button>
  <span class="ring asking" v-if="asked && asked.instead == null" :style="spot(asked)"></span>
  <div class="divider" v-if="after" v-show="!asked" :style="{left: edge + 'px'}" @pointerdown.stop="grab" @pointermove.stop="slide"
      @pointerup.stop="drop" @pointercancel.stop="grabbed = null" @dblclick.stop>
    <input type="range" min="0" max="100" step="1" :value="Math.round(100 * split)" aria-label="Where color begins"
      :aria-valuetext="Math.round(100 * split) + ' % from the left'" @input="split = $event.target.value / 100">
    <span class="handle" aria-hidden="true"></span>
  </div>
  <button class="cross" v-if="cross" ref="cross" :style="spot(cross)" @keydown="steer" @blur="cross = null" @pointerdown.stop
    :aria-label="'Place, ' + percent(cross.column, photo.width) + ' from the left, ' + percent(cross.row, photo.height)
      + ' from the top; arrow keys move it, Enter shows its colors'"></button>
  <div class="tools" v-if="photo.ready" ref="tools" @pointerdown.stop @dblclick.stop role="toolbar" aria-label="View and tools">
    <button @click="zoom(1 / 1.5)" aria-label="Zoom out" title="Zoom out (−)"><i>remove</i></button>
    <button @click="whole" class="share" :aria-label="'Zoom ' + share + ' %; show at 100 %'" title="100 % (1)">{{ share }} %</button>
    <button @click="zoom(1.5)" aria-label="Zoom in" title="Zoom in (+)"><i>add</i></button>
    <button @click="fit" aria-label="Fit to the window" title="Fit (0)"><i>fit_screen</i></button>
    <span class="line"></span>
    <button @click="tool = 'point'" :aria-pressed="tool == 'point'" aria-label="Color a place: click the photo" title="Color a place"><i>colorize</i></button>
    <button @click="tool = 'brush'" :aria-pressed="tool == 'brush'" aria-label="Color an area: brush over it" title="Color an area"><i>brush</i></button>
    <input v-if="tool == 'brush'" type="range" min="8" max="80" v-model.number="brush" aria-label="Size of the brush">
    <button @click="aim()" class="aim" aria-label="Choose a place with the keyboard" title="Choose a place with the keyboard"><i>control_camera</i></button>
  </div>
</section>`,
  data: () => ({ split: 0.5, tool: "point", brush: 28, tip: null, path: null, asked: null, hovered: null, cross: null, pointers: {} }),
  computed: {
    sides() { // the labels, beside the photo if there is no room on it
      const { left, right } = this.seen;
      return right - left < 160
        ? { before: { right: this.wide - left + 8 + "px" }, after: { left: right + 8 + "px" } }
        : { before: { left: left + 12 + "px" }, after: { right: this.wide - right + 12 + "px" } };
    },
    begins() { return this.asked ? 0 : this.split; }, // while a color is chosen, all is shown in color
    edge() { return this.seen.left + this.begins * (this.seen.right - this.seen.left); },
    radius() { return Math.max(1, Math.round(this.brush / this.scale)); },
    rings() {
      return this.photo.marks.map((mark) => ({
        name: mark.name, style: { ...this.spot(this.middle(mark.path)), "--color": hex(mark.color) },
      }));
    },
    strokes() {
      const shown = [], { marks } = this.photo;
      if (this.path) shown.push({ path: this.path, radius: this.brush / this.scale, color: "#fff8" });
      else if (this.asked && !this.trial) shown.push({ ...this.asked, color: "#fff6" });
      if (marks[this.hovered] && this.hovered !== this.asked?.instead) shown.push({ ...marks[this.hovered], color: "#fff6" });
      return shown.filter((stroke) => stroke.radius).map(({ path, radius, color }) => ({
        color, width: 2 * radius * this.scale, // a stroke at one place is a line of length 0
        points: [...path, path[path.length - 1]].map(([row, column]) => this.at(row, column).join()).join(" "),
      }));
    },
  },
  watch: {
    tool() { this.$nextTick(this.measure); },
    "photo.key"() { // what was begun on another photo ends
      [this.path, this.cross, this.grabbed, this.pointers] = [null, null, null, {}];
    },
    asked(asked) { this.$emit("asked", asked); },
    "photo.version"() { // the color whose palette is open may have been undone
      const { color, local, instead } = this.asked || {}, mark = this.photo.marks[instead];
      if (!color || (mark && hex(mark.color) == hex(color) && mark.local == local)) return;
      document.activeElement.closest(".palette") ? this.leave() : this.dismiss();
    },
    "photo.marks.length": { flush: "post", handler() { // a ring that had the focus may be gone
      this.hovered = null;
      if (document.activeElement == document.body) this.focus();
    } },
  },
  mounted() {
    this.open();
    this.keys = (event) => this.key(event);
    addEventListener("keydown", this.keys);
  },
  unmounted() { removeEventListener("keydown", this.keys); },
  methods: {
    percent: (part, all) => Math.round((100 * part) / all) + " %",
    middle(path) { const [row, column] = path[Math.floor(path.length / 2)]; return { row, column }; },
    spot({ row, column }) { const [x, y] = this.at(row, column); return { left: x + "px", top: y + "px" }; },

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
      this.tip = event.pointerType == "mouse" ? this.on(event) : null;
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
        this.ask({ ...this.middle(this.path), path: this.path, radius: this.radius });
        this.path = null;
      } else if (!pointer.moved) this.click(event);
    },
    cancel(event) {
      delete this.pointers[event.pointerId];
      this.path = null;
    },
    click(event) { // ask for the color of a place; beside the photo, close the palette
      const place = this.pixel(event);
      if (place) this.ask({ row: place[0], column: place[1], path: [place], radius: this.tool == "brush" ? this.radius : 0 });
      else this.dismiss();
    },

    // the slider: a press without movement is a click on the ring or the photo below it
    grab(event) {
      if (event.button) return;
      this.grabbed = { from: event.clientX, beside: this.on(event)[0] - this.edge };
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    slide(event) {
      if (!this.grabbed) return;
      this.grabbed.moved ||= Math.abs(event.clientX - this.grabbed.from) > SLIP;
      if (!this.grabbed.moved) return;
      const { left, right } = this.seen;
      this.split = clamp((this.on(event)[0] - this.grabbed.beside - left) / (right - left), 0, 1);
    },
    drop(event) {
      if (this.grabbed && !this.grabbed.moved) {
        const ring = document.elementsFromPoint(event.clientX, event.clientY).find((each) => each.matches("button.ring"));
        if (!ring) this.click(event);
        ring?.focus();
        ring?.click();
      }
      this.grabbed = null;
    },

    // colors
    ask(place) { // an opener has the focus again afterwards
      this.preview(null);
      this.asked = { instead: null, local: false, ...place };
    },
    again(number) {
      const mark = this.photo.marks[number];
      this.$refs.stage.scrollIntoView({ block: "nearest" });
      const { color, path, radius, local } = mark;
      this.ask({ ...this.middle(path), color, path, radius, local, instead: number, opener: document.activeElement });
    },
    hover(number) { this.hovered = number; },
    dismiss() {
      this.asked = null;
      this.preview(null);
    },
    leave() {
      const asked = this.asked;
      this.dismiss();
      if (asked) this.back(asked);
    },
    back({ opener, row, column }) { // give the focus back
      if (opener?.matches(".cross")) this.aim({ row, column });
      else if (opener?.isConnected) opener.focus();
      else this.focus();
    },
    focus() { this.$refs.stage.focus({ preventScroll: true }); },
    mark(color) {
      const { path, radius, local, instead } = this.asked;
      return { color, path, radius, local, instead };
    },
    confine(local) { // to the surroundings; a color that is already set changes at once
      if (!this.asked) return;
      this.asked.local = local;
      if (this.asked.color) this.$emit("mark", this.mark(this.asked.color));
    },
    uncover({ path, radius }) { // move the slider off a color that was set, which is otherwise not seen
      const { left, right } = this.seen, begins = Math.min(...path.map(([row, column]) => this.at(row, column - radius)[0]));
      this.split = Math.min(this.split, clamp((begins - BESIDE - left) / (right - left), 0, 1));
    },
    attempt(color) { // preview a color
      if (!this.asked) return;
      if (!color) return this.preview(null);
      const { instead, ...rest } = this.mark(color), mark = encodeURIComponent(JSON.stringify(rest));
      this.preview(`&mark=${mark}` + (instead == null ? "" : `&instead_of=${instead}`));
    },
    give(color) {
      const asked = this.asked;
      if (!asked) return; // the picker of a palette may tell its color after the palette was closed
      this.$emit("mark", this.mark(color));
      this.uncover(asked);
      this.asked = null;
      this.halt(); // a color that was tried stays until the coloring is loaded
      this.back(asked);
    },
    take(number) { // remove a color
      this.leave();
      this.$emit("unmark", number);
    },

    // keys
    aim(place = { row: Math.floor(this.photo.height / 2), column: Math.floor(this.photo.width / 2) }) {
      this.asked = null;
      this.cross = place;
      this.$nextTick(() => this.$refs.cross?.focus());
    },
    steer(event) {
      const way = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      const { width, height } = this.photo, step = Math.max(1, Math.max(width, height) / (event.shiftKey ? 10 : 50));
      if (way) {
        this.cross.row = Math.round(clamp(this.cross.row + way[0] * step, 0, height - 1));
        this.cross.column = Math.round(clamp(this.cross.column + way[1] * step, 0, width - 1));
      } else if (event.key == "Enter") {
        const { row, column } = this.cross;
        this.ask({ row, column, path: [[row, column]], radius: 0, opener: event.target });
      } else if (event.key == "Escape") this.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
    key(event) {
      const typing = event.target.closest("input:not([type=range], [type=checkbox]), select, textarea, [contenteditable]");
      if (typing || event.altKey || document.querySelector(".q-dialog")) return;
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
