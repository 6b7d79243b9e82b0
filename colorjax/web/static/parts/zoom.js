// Where the photo is on the stage: zoom and pan.
const CLOSEST = 16; // most screen pixels per pixel of the photo
const SEEN = 256; // screen pixels of the longest side to which a tiny photo is enlarged
const BESIDE = 8; // pixels between the photo and the tools

export const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));

export default {
  data: () => ({ wide: 0, high: 0, scale: 1, x: 0, y: 0, fitted: true }),
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
  },
  mounted() {
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.$refs.stage);
    this.measure();
  },
  unmounted() { this.observer.disconnect(); },
  methods: {
    at(row, column) { return [this.x + (column + 0.5) * this.scale, this.y + (row + 0.5) * this.scale]; },
    measure() { // the photo fits above the tools
      const { stage, tools } = this.$refs;
      [this.wide, this.high] = [stage.clientWidth, tools ? tools.offsetTop - BESIDE : stage.clientHeight];
      this.fitted ? this.fit() : this.hold();
    },
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
    twice(event) {
      this.dismiss();
      this.zoomed ? this.fit() : this.zoom(1 / devicePixelRatio / this.scale, ...this.on(event));
    },
    on(event) {
      const { left, top } = this.$refs.stage.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    },
    pixel(event) {
      const [x, y] = this.on(event);
      const column = Math.floor((x - this.x) / this.scale), row = Math.floor((y - this.y) / this.scale);
      return row >= 0 && column >= 0 && row < this.photo.height && column < this.photo.width ? [row, column] : null;
    },
  },
};
