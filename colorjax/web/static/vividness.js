// The slider of the vividness. Like a field, it keeps what is entered.
export default {
  props: { value: Number, photo: String }, // the key of the photo
  emits: ["attempt", "change"],
  template: `
<div class="vividness">
  <p><label for="vividness">Vividness</label><span>{{ Math.round(100 * entered) }} %</span></p>
  <input type="range" title="Double click: 100 %" min="0" max="2" step="0.05" id="vividness" v-model.number="entered"
    @input="attempt" @change="settle"
    @dblclick="$emit('change', entered = 1)">
</div>`,
  data() { return { entered: this.value }; },
  watch: {
    value(value) { this.entered = value; },
    photo() { this.entered = this.value; },
  },
  created() { this.begun = null; }, // the photo on which the slider is dragged
  methods: {
    attempt() {
      this.begun ??= this.photo;
      if (this.begun == this.photo) this.$emit("attempt", this.entered == this.value ? null : this.entered);
    },
    settle() {
      if ((this.begun ?? this.photo) == this.photo) this.$emit("change", this.entered);
      else this.entered = this.value;
      this.begun = null;
    },
  },
};
