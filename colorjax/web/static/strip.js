// The strip: a thumbnail for each open file, with its state.
const STATES = { waiting: "waiting", coloring: "being colored", done: "colored", failed: "cannot be opened" };
const KINDS = { video: "movie", animation: "animation", pages: "auto_stories" }; // icons of files that are not single photos

export default {
  props: { works: Array, current: String, unsaved: Boolean },
  emits: ["choose", "close", "clear"],
  created() {
    this.KINDS = KINDS;
    this.removed = null;
  },
  template: `
<nav class="strip" aria-label="Open photos" @keydown="key">
  <div class="sum">
    <p role="status"><b>{{ works.length }} {{ works.length == 1 ? "file" : "files" }}</b>
      <span v-if="works.length > 1">{{ ended < works.length ? done + " colored" : failed ? failed + " failed" : "all colored" }}</span></p>
    <progress v-if="ended < works.length" :max="works.length" :value="ended" aria-label="Files that are colored"></progress>
    <button v-else-if="works.length > 1" class="plain" @click="clear">Remove all</button>
  </div>
  <ol ref="list">
    <li v-for="work in works" :key="work.key" :class="work.state">
      <button class="frame" :aria-current="work.key == current ? 'true' : null" :title="work.name"
          :aria-label="work.name + ', ' + state(work)" @click="$emit('choose', work.key)">
        <img v-if="work.painted" :src="'/photos/' + work.key + '/thumb?v=' + work.painted" alt="" loading="lazy">
        <span v-else class="name">{{ work.name }}</span>
        <i v-if="KINDS[work.kind]" class="kind" aria-hidden="true">{{ KINDS[work.kind] }}</i>
        <span class="mark" aria-hidden="true"></span>
      </button>
      <button class="close" :aria-label="'Remove ' + work.name" title="Remove" @click="close(work)"><i>close</i></button>
    </li>
  </ol>
</nav>`,
  computed: {
    done() { return this.works.filter((work) => work.state != "failed" && work.painted).length; },
    failed() { return this.works.filter((work) => work.state == "failed").length; },
    ended() { return this.done + this.failed; },
  },
  watch: {
    current() { this.$nextTick(this.reveal); },
    works: { flush: "post", handler(works) { // the focus goes to the frame that took the place of the removed one
      if (!this.removed || works.some((work) => work.key == this.removed.key)) return;
      const frames = this.$refs.list.querySelectorAll(".frame");
      (frames[Math.min(this.removed.at, frames.length - 1)] || document.querySelector(".welcome .primary"))?.focus();
      this.removed = null;
    } },
  },
  mounted() {
    addEventListener("beforeunload", (event) => this.unsaved && window.socket?.connected && event.preventDefault());
    addEventListener("keydown", (event) => {
      const way = { PageUp: -1, PageDown: 1 }[event.key];
      const next = way && this.works[this.works.findIndex((work) => work.key == this.current) + way];
      if (next && !event.target.closest("[role=dialog]") && !document.querySelector(".q-dialog")) {
        event.preventDefault();
        this.$emit("choose", next.key);
      }
    });
  },
  methods: {
    state: (work) => [work.told, STATES[work.state]].filter(Boolean).join(", "),
    clear() { if (!this.unsaved || confirm("Remove all files? Settings that you have not downloaded will be lost.")) this.$emit("clear"); },
    close(work) {
      if (work.unsaved && !confirm(`Remove ${work.name}? Its settings, which you have not downloaded, will be lost.`)) return;
      this.removed = { key: work.key, at: this.works.indexOf(work) };
      this.$emit("close", work.key);
    },
    reveal() {
      const frame = this.$refs.list?.querySelector("[aria-current]"), list = this.$refs.list;
      if (frame) list.scrollLeft = frame.parentNode.offsetLeft - list.offsetLeft - list.clientWidth / 2 + frame.clientWidth / 2;
    },
    key(event) {
      const frames = [...this.$refs.list.querySelectorAll(".frame")], at = frames.indexOf(document.activeElement);
      const next = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: frames.length - 1 }[event.key];
      if (event.key == "Delete" && at >= 0) event.repeat || this.close(this.works[at]);
      else if (at >= 0 && frames[next]) {
        frames[next].focus();
        frames[next].click();
      } else return;
      event.preventDefault();
    },
  },
};
