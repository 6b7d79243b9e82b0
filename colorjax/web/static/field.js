// A field that keeps what is entered until the server has another value: the server may redraw the page at any time.
export default {
  props: { value: [Number, String] },
  template: `<input v-model="entered" @change="settle">`,
  data() { return { entered: this.value }; },
  watch: { value(value) { this.entered = value; } },
  methods: {
    settle({ target }) { // the nearest number that is allowed, before others read it
      if (target.type != "number") return;
      const number = Math.min(Math.max(Math.round(target.value), target.min), target.max);
      this.entered = target.value = target.value == "" ? this.value : number;
    },
  },
};
