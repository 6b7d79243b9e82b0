// The row of looks to choose from.
export default {
  props: { photo: Object, looks: Array },
  emits: ["choose"],
  template: `
<div class="looks" v-show="!photo.failed" role="group" aria-label="Colorings of this photo">
  <button v-for="look in looks" :key="look.name" :aria-pressed="String(look.name == photo.look)" @click="$emit('choose', look.name)">
    <img v-if="photo.ready" :src="'/photos/' + photo.key + '/look/' + look.name + '?v=' + photo.base" alt=""
      :style="{aspectRatio: Math.min(Math.max(photo.width / photo.height, 0.75), 1.5)}">
    <span v-else class="empty"></span>
    <span>{{ look.label }}</span>
  </button>
</div>`,
};
