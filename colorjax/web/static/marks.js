// The colors that were set: a click on one opens the palette for it again.
import { hex } from "parts/colors.js";

export default {
  props: { marks: Array },
  emits: ["again", "hover", "unmark"],
  template: `
<div class="marks">
  <p v-if="!marks.length">Click the photo where you know the color, or brush over an area.</p>
  <div class="set" v-for="(mark, i) in marks" @pointerenter="$emit('hover', i)" @pointerleave="$emit('hover', null)">
    <button class="again" @click="$emit('again', i)" @focus="$emit('hover', i)" @blur="$emit('hover', null)" title="Change this color">
      <span class="dot" :style="{background: hex(mark.color)}"></span>{{ mark.name }}{{ extent(mark) }}</button>
    <button class="away" :aria-label="'Remove ' + mark.name" title="Remove" @click="$event.detail > 1 || remove(i)"><i>close</i></button>
  </div>
</div>`,
  watch: {
    "marks.length": { flush: "post", handler() { // the focus goes to the row that took the place of the removed one
      const rows = this.removed == null ? [] : this.$el.querySelectorAll(".set .away");
      rows[Math.min(this.removed, rows.length - 1)]?.focus();
      this.removed = null;
    } },
  },
  created() { this.removed = null; },
  methods: {
    hex,
    extent: ({ radius, local }) => radius ? (local ? " (only this area)" : " (brushed area)") : local ? " (only here)" : "",
    remove(i) {
      this.removed = i;
      this.$emit("unmark", i);
    },
  },
};
