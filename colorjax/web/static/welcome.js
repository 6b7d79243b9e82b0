// The first page: a photo before and after, one sentence, and buttons to open photos.
export default {
  props: { hero: String, samples: Array },
  emits: ["sample"],
  template: `
<div class="welcome">
  <figure class="hero" v-if="hero" :style="{'--at': at + '%'}">
    <img :src="'/photos/' + hero + '/before'" alt="A man behind a camera, in black and white">
    <img class="after" :src="after" v-if="after" alt="The same photo in color">
    <input type="range" min="0" max="100" v-model.number="at" aria-label="Where color begins">
    <span class="handle" aria-hidden="true"></span>
  </figure>
  <div class="words">
    <h1>Old photos, in&nbsp;color.</h1>
    <p class="promise">Every detail of your photo stays as it is, at its full size; only color is added. It all happens on this computer.</p>
    <div class="zone">
      <p>Drop photos or a folder here</p>
      <div class="ways">
        <button class="primary" onclick="document.getElementById('choose-files').click()">Choose photos</button>
        <button class="secondary" onclick="document.getElementById('choose-folder').click()">Choose a folder</button>
      </div>
    </div>
    <template v-if="samples.length">
      <h2>Or try one of these</h2>
      <div class="samples">
        <button v-for="sample in samples" :key="sample.name" @click="$emit('sample', sample.name)" :aria-label="'Try ' + sample.title + ': ' + sample.alt">
          <img :src="'/photos/' + sample.name + '/before'" alt=""><span>{{ sample.title }}</span>
        </button>
      </div>
    </template>
  </div>
</div>`,
  data: () => ({ at: 28, after: null }),
  async mounted() {
    if (!this.hero) return;
    const answer = await fetch(`/photos/${this.hero}/after`).catch(() => null);
    if (answer?.ok) this.after = URL.createObjectURL(await answer.blob());
  },
};
