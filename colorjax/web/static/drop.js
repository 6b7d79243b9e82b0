// Uploads of chosen or dropped files or of a whole folder, one after another. Saving of downloads into a folder.
const KNOWN = /\.(jpe?g|png|tiff?|webp|gif|bmp|avif|hei[cf]|jp2|mp4|m4v|mov|mkv|avi|webm|mpe?g|colorjax)$/i;

async function within(entry) { // all files of a folder, sorted by name
  if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
  const reader = entry.createReader(), entries = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    entries.push(...some);
  }
  const files = await Promise.all(entries.map(within));
  return files.flat().filter(fits);
}
const fits = (file) => !file.name.startsWith(".") && KNOWN.test(file.name);

export default {
  emits: ["told"],
  template: `
<div class="drop" :class="{over}">
  <input id="choose-files" type="file" multiple tabindex="-1" aria-label="Photos to open" @change="chosen($event, false)">
  <input id="choose-folder" type="file" webkitdirectory tabindex="-1" aria-label="A folder to open" @change="chosen($event, true)">
  <div class="veil" v-if="over"><p>Drop photos, videos or a folder</p></div>
  <p class="sending" v-if="all" role="status">Opening {{ sent + 1 }} of {{ all }} … <progress :max="all" :value="sent" aria-label="Files opened"></progress></p>
</div>`,
  data: () => ({ over: 0, sent: 0, all: 0 }),
  mounted() {
    const on = (name, act) => addEventListener(name, (event) => {
      if (![...(event.dataTransfer?.types || [])].includes("Files")) return;
      event.preventDefault();
      act(event);
    });
    on("dragenter", () => this.over++);
    on("dragleave", () => (this.over = Math.max(0, this.over - 1)));
    on("dragover", () => {});
    on("drop", (event) => this.dropped(event));
    addEventListener("paste", (event) => this.send([...(event.clipboardData?.files || [])]));
  },
  methods: {
    chosen(event, folder) {
      const files = [...event.target.files];
      event.target.value = "";
      files.sort((a, b) => (a.webkitRelativePath || "").localeCompare(b.webkitRelativePath || "", undefined, { numeric: true }));
      folder ? this.found(files.filter(fits)) : this.send(files);
    },
    async dropped(event) {
      this.over = 0;
      const items = [...event.dataTransfer.items].filter((item) => item.kind == "file");
      const entries = items.map((item) => item.webkitGetAsEntry?.());
      const files = entries.every(Boolean) ? (await Promise.all(entries.map(within))).flat() : [...event.dataTransfer.files];
      this.found(files);
    },
    found(files) {
      if (files.length) this.send(files);
      else this.$emit("told", "There are no photos or videos in this folder.");
    },
    async send(files) {
      if (!files.length) return;
      this.all += files.length;
      for (const file of files) {
        const told = await this.one(file);
        if (told) this.$emit("told", told);
        this.sent++;
      }
      if (this.sent >= this.all) this.sent = this.all = 0;
    },
    async ask() { // ask for a folder to save files in
      if (!window.showDirectoryPicker) {
        this.$emit("told", "This browser cannot save into a folder. Download the zip instead.");
        return false;
      }
      this.folder = await showDirectoryPicker({ mode: "readwrite" }).catch(() => null);
      return !!this.folder;
    },
    async save(address, name) { // never over an existing file
      const [, stem, ending] = name.match(/^(.*?)(\.[^.]*)?$/), there = [];
      for await (const each of this.folder.keys()) there.push(each.toLowerCase());
      for (let i = 2; there.includes(name.toLowerCase()); i++) name = `${stem} (${i})${ending || ""}`;
      const answer = await fetch(address), file = await this.folder.getFileHandle(name, { create: true });
      await answer.body.pipeTo(await file.createWritable());
      return name;
    },
    async one(file) {
      try {
        const answer = await fetch("/open?name=" + encodeURIComponent(file.name), { method: "POST", body: file });
        if (answer.status == 413) return `${file.name}: larger than a gigabyte; expected a smaller file`;
        if (!answer.ok) return `${file.name}: could not be opened`;
        return (await answer.json()).told;
      } catch {
        return `${file.name}: could not be read`;
      }
    },
  },
};
