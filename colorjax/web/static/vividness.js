// The slider of the vividness. Like a field, it keeps what is entered.
export default {
  props: { value: Number },
  emits: ["attempt", "change"],
  template: `
<div class="vividness">
  <p><label for="vividness">Vividness</label><span>{{ Math.round(100 * entered) }} %</span></p>
  <input type="range" title="Double click: 100 %" min="0" max="2" step="0.05" id="vividness" v-model.number="entered"
    @input="$emit('attempt', entered == value ? null : entered)" @change="$emit('change', entered)"
    @dblclick="$emit('change', entered = 1)">
</div>`,
  data() { return { entered: this.value }; },
  watch: { value(value) { this.entered = value; } },
};
