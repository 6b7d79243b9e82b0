// The looks to choose from. None can be chosen before its picture of this photo is seen.
export default {
  props: { photo: Object, looks: Array },
  emits: ["choose"],
  template: `
<div class="looks" v-show="!photo.failed" role="group" aria-label="Colorings of this photo">
  <button v-for="look in looks" :key="look.name" :aria-pressed="String(look.name == photo.look)" :disabled="!seen[place(look)]"
      @click="$emit('choose', look.name)">
    <img v-if="photo.ready" :key="place(look)" :src="place(look) + '?v=' + photo.base" alt="" @load="seen[place(look)] = true">
    <span v-else class="empty"></span>
    <span>{{ look.label }}</span>
  </button>
</div>`,
  data: () => ({ seen: {} }),
  methods: {
    place(look) { return `/photos/${this.photo.key}/look/${look.name}`; },
  },
};
