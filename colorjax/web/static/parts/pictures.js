// How the stage loads its pictures: first the thumbnail, then the shown size, and the full size when the zoom needs it.
const SHOWN = 2048; // longest side in pixels of the server's pictures; beyond it, the full size is loaded
const KEPT = 12; // pictures that are kept

const made = []; // addresses of pictures, in the order in which they were made

async function picture(address, kept = true) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(answer.statusText);
  const source = URL.createObjectURL(await answer.blob());
  const image = new Image();
  image.src = source;
  await image.decode();
  if (kept) made.push(source);
  if (made.length > KEPT) URL.revokeObjectURL(made.shift());
  return source;
}

export default {
  data: () => ({ before: null, after: null, trial: null }),
  created() {
    this.wanted = null; // what is tried, as the end of an address
    this.chasing = false;
    this.full = ""; // the version that is shown at full size
  },
  computed: {
    state() { const { key, ready, version } = this.photo; return { key, ready, version }; },
    thumb() { // shown until the pictures are loaded
      const { key, painted, failed } = this.photo;
      return painted && !failed && !(this.before && this.after) ? `/photos/${key}/thumb?v=${painted}` : null;
    },
  },
  watch: {
    state(now, last) {
      if (now.key != last.key || now.ready != last.ready) this.open();
      else if (now.version != last.version) this.color();
    },
    trial: { flush: "post", handler(_, tried) { if (tried) URL.revokeObjectURL(tried); } },
  },
  methods: {
    address(what, more = "") { return `/photos/${this.photo.key}/${what}?v=${this.photo.version}${more}`; },
    async open() {
      this.dismiss();
      this.before = this.after = null;
      this.full = "";
      this.split = 0.5;
      this.fit();
      this.$nextTick(this.measure); // the tools may have appeared
      scrollTo(0, 0);
      if (!this.photo.ready) return;
      const key = this.photo.key, coloring = this.color();
      const before = await this.once(this.address("before"), () => key == this.photo.key);
      if (before && !this.full) this.before = before; // unless the full size was faster
      await coloring;
    },
    async once(address, needed) { // a picture, also if a request fails, as after a change of the network
      for (; needed(); await new Promise((done) => setTimeout(done, 1000))) {
        const found = await picture(address).catch(() => null);
        if (found) return needed() ? found : null;
      }
    },
    async color() { // load the latest coloring; what was tried stays until then
      const asked = this.address("after");
      if (!this.photo.ready) return;
      const after = await this.once(asked, () => asked == this.address("after"));
      if (!after) return;
      [this.after, this.full] = [after, ""];
      if (this.asked && this.tried) this.preview(this.tried); // on top of the new coloring
      else this.preview(null), this.trial = null;
      this.sharpen();
    },
    sharpen() { // load the full size when the zoom needs it
      clearTimeout(this.patience);
      const { key, version, width, height } = this.photo, longest = Math.max(width, height);
      const wanted = `${key} ${version}`;
      const shows = longest > SHOWN && this.scale * devicePixelRatio > (1.1 * SHOWN) / longest;
      if (!shows || this.full == wanted || this.loading == wanted) return;
      this.patience = setTimeout(async () => {
        this.loading = wanted;
        const both = ["before", "after"].map((what) => picture(this.address(what, "&whole=true")));
        const [before, after] = await Promise.all(both).catch(() => []);
        if (this.loading == wanted) this.loading = null;
        if (after && wanted == `${this.photo.key} ${this.photo.version}`) {
          [this.before, this.after, this.full] = [before, after, wanted];
        }
      }, 250);
    },
    vivid(vividness) { this.preview(vividness == null ? null : `&vividness=${vividness}`); }, // preview a vividness
    preview(more) {
      this.halt();
      this.wanted = this.tried = more;
      if (more) this.chase();
      else this.pause = setTimeout(() => (this.trial = null), 40); // the pointer may be on its way to the next color
    },
    async chase() { // one request at a time: of what is tried meanwhile, only the latest is asked for
      if (this.chasing) return;
      this.chasing = true;
      while (this.wanted) {
        const { key } = this.photo, asked = this.wanted;
        const trial = await picture(this.address("after", asked), false).catch(() => null);
        if (this.wanted && key == this.photo.key) this.trial = trial;
        else if (trial) URL.revokeObjectURL(trial);
        if (this.wanted == asked) this.wanted = null;
      }
      this.chasing = false;
    },
    halt() { // forget what is being tried
      clearTimeout(this.pause);
      this.wanted = this.tried = null;
    },
  },
};
