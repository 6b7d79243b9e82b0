// The palette: likely colors of a place or an area, everyday colors, and a picker for any other one.
import { hex, levels } from "parts/colors.js";

export default {
  props: { photo: Object },
  emits: ["attempt", "give", "unmark", "leave", "confine"],
  template: `
<div class="dock">
  <div class="palette" v-if="asked" ref="palette" role="dialog" :aria-label="asked.radius ? 'Colors for this area' : 'Colors for this place'"
      @keydown.esc.stop="$emit('leave')">
    <header><b>{{ asked.instead != null ? "Change this color" : asked.radius ? "Color this area" : "Color this place" }}</b>
      <button class="plain" @click="$emit('leave')" aria-label="Close"><i>close</i></button></header>
    <p v-if="!colors">Finding colors …</p>
    <template v-for="group in groups">
      <h2>{{ group.title }}</h2>
      <div class="swatches" role="group" :aria-label="group.title">
        <button v-for="swatch in group.swatches" :aria-pressed="asked.color ? String(other == hex(swatch.color)) : null" :style="{background: hex(swatch.color)}" :aria-label="swatch.name" :title="swatch.name"
          @pointerenter="$emit('attempt', swatch.color)" @pointerleave="$emit('attempt', null)"
          @focus="$emit('attempt', swatch.color)" @blur="$emit('attempt', null)" @click="$emit('give', swatch.color)"></button>
      </div>
    </template>
    <label class="any">Any other color
      <input type="color" v-model="other" @input="$emit('attempt', levels(other))" @change="$emit('give', levels(other))"></label>
    <label class="local"><input type="checkbox" v-model="local" @change="$emit('confine', local)">
      {{ asked.radius ? "Only this area" : "Only around this place" }}</label>
    <button v-if="asked.instead != null" class="away" @click="$emit('unmark', asked.instead)">Remove this color</button>
  </div>
</div>`,
  data: () => ({ asked: null, colors: null, other: "#b08060", local: false }),
  created() { this.turn = 0; },
  computed: {
    groups() {
      const { likely = [], everyday = [] } = this.colors || {};
      return [{ title: "Likely here", swatches: likely }, { title: "Everyday colors", swatches: everyday }].filter((group) => group.swatches.length);
    },
  },
  methods: {
    hex,
    levels,
    async show(asked) { // asked is null when the palette closes
      const turn = ++this.turn;
      this.asked = asked;
      this.colors = null;
      if (!asked) return;
      if (asked.color) this.other = hex(asked.color);
      this.local = asked.local;
      this.$nextTick(() => this.$refs.palette?.scrollIntoView({ block: "nearest" }));
      const { key, version } = this.photo, { row, column } = asked;
      const answer = await fetch(`/photos/${key}/palette?v=${version}&row=${row}&column=${column}`).catch(() => null);
      const colors = answer?.ok ? await answer.json().catch(() => ({})) : {};
      if (turn != this.turn) return; // another place was asked for meanwhile, or none
      this.colors = colors;
      await this.$nextTick();
      if (asked.opener && turn == this.turn) this.focus();
    },
    focus() { // on the present color, so that opening the palette changes nothing
      const find = (what) => this.$refs.palette?.querySelector(what);
      (find(this.asked.color ? "[aria-pressed=true]" : ".swatches button") || find(".any input"))?.focus();
    },
  },
};
