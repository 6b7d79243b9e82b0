// The film strip: a thumbnail for each open file, with its state.
const STATES = { waiting: "waiting", coloring: "being colored", done: "colored", failed: "cannot be opened" };

export default {
  props: { works: Array, current: String, unsaved: Boolean },
  emits: ["choose", "close"],
  template: `
<nav class="strip" aria-label="Open photos" @keydown="key">
  <p role="status"><b>{{ works.length }} {{ works.length == 1 ? "photo" : "photos" }}</b>
    <span v-if="done < works.length">{{ done }} colored</span><span v-else>all colored</span>
    <progress v-if="done < works.length" :max="works.length" :value="done" aria-label="Photos that are colored"></progress></p>
  <ol ref="list">
    <li v-for="work in works" :key="work.key" :class="work.state">
      <button class="frame" :aria-current="work.key == current ? 'true' : null" :title="work.name"
          :aria-label="work.name + ', ' + state(work)" @click="$emit('choose', work.key)">
        <img v-if="work.painted" :src="'/photos/' + work.key + '/thumb?v=' + work.painted" alt="" loading="lazy">
        <span v-else class="name">{{ work.name }}</span>
        <span class="mark" aria-hidden="true"></span>
      </button>
      <button class="close" :aria-label="'Remove ' + work.name" title="Remove" @click="$emit('close', work.key)"><i>close</i></button>
    </li>
  </ol>
</nav>`,
  computed: { done() { return this.works.filter((work) => work.state == "done" || work.painted).length; } },
  watch: { current() { this.$nextTick(this.reveal); } },
  mounted() {
    addEventListener("beforeunload", (event) => this.unsaved && event.preventDefault());
    addEventListener("keydown", (event) => {
      const way = { PageUp: -1, PageDown: 1 }[event.key];
      const next = way && this.works[this.works.findIndex((work) => work.key == this.current) + way];
      if (next && !event.target.closest("[role=dialog]")) {
        event.preventDefault();
        this.$emit("choose", next.key);
      }
    });
  },
  methods: {
    state: (work) => (work.state == "failed" ? work.told : STATES[work.state]),
    reveal() {
      const frame = this.$refs.list?.querySelector("[aria-current]"), list = this.$refs.list;
      if (frame) list.scrollLeft = frame.parentNode.offsetLeft - list.offsetLeft - list.clientWidth / 2 + frame.clientWidth / 2;
    },
    key(event) {
      const frames = [...this.$refs.list.querySelectorAll(".frame")], at = frames.indexOf(document.activeElement);
      const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: frames.length - 1 }[event.key];
      if (event.key == "Delete" && at >= 0) this.$emit("close", this.works[at].key);
      else if (at >= 0 && frames[next]) {
        frames[next].focus();
        frames[next].click();
      } else return;
      event.preventDefault();
    },
  },
};
