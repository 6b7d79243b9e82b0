// Uploads of chosen or dropped files or of a whole folder, one after another. Saving of downloads into a folder.
async function within(entry) { // all files of a folder, sorted by name
  if (entry.isFile) return new Promise((done) => entry.file((file) => done([file]), () => done([]))); // a file may be gone
  const reader = entry.createReader(), entries = [];
  for (;;) {
    const some = await new Promise((done) => reader.readEntries(done, () => done([])));
    if (!some.length) break;
    entries.push(...some);
  }
  const files = await Promise.all(entries.map(within));
  return files.flat().filter((file) => !file.name.startsWith(".")); // hidden files
}

export default {
  props: { suffixes: Array }, // of the files that can be opened
  emits: ["told"],
  template: `
<div class="drop" :class="{over}">
  <input id="choose-files" type="file" multiple :accept="suffixes.join()" tabindex="-1" aria-label="Photos to open" @change="chosen($event, false)">
  <input id="choose-folder" type="file" webkitdirectory tabindex="-1" aria-label="A folder to open" @change="chosen($event, true)">
  <div class="veil" v-if="over"><p>Drop photos, videos or a folder</p></div>
  <p class="sending" v-if="all" role="status">Opening {{ sent + 1 }} of {{ all }} … <progress :max="all" :value="sent" aria-label="Files opened"></progress></p>
</div>`,
  data: () => ({ over: 0, sent: 0, all: 0 }),
  created() { this.folders = []; }, // that were chosen
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
    addEventListener("beforeunload", (event) => this.all && window.socket?.connected && event.preventDefault());
    let pressed; // the second press of a double click counts only where the first one was, not on what moved there
    for (const name of ["mousedown", "click", "dblclick"]) addEventListener(name, (event) => {
      if (event.detail < 2) pressed = event.target;
      else if (event.target != pressed) event.preventDefault(), event.stopImmediatePropagation();
    }, true);
    document.body.classList.toggle("no-folders", !window.showDirectoryPicker);
    addEventListener("paste", (event) => this.send([...(event.clipboardData?.files || [])]));
  },
  methods: {
    chosen(event, folder) {
      const files = [...event.target.files];
      event.target.value = "";
      files.sort((a, b) => (a.webkitRelativePath || "").localeCompare(b.webkitRelativePath || "", undefined, { numeric: true }));
      folder ? this.found(files.filter((file) => !/(^|\/)\./.test(file.webkitRelativePath))) : this.send(files);
    },
    async dropped(event) {
      this.over = 0;
      const items = [...event.dataTransfer.items].filter((item) => item.kind == "file");
      const entries = items.map((item) => item.webkitGetAsEntry?.());
      const files = entries.every(Boolean) ? (await Promise.all(entries.map(within))).flat() : [...event.dataTransfer.files];
      this.found(files);
    },
    found(files) { // of what was dropped or is in a folder, open what can be opened
      const fits = files.filter((file) => this.suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix)));
      const others = files.length - fits.length;
      if (!fits.length) this.$emit("told", "There are no photos or videos in this folder.");
      else if (others) this.$emit("told", others == 1 ? "1 other file was skipped." : `${others} other files were skipped.`);
      this.send(fits);
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
      const folder = await showDirectoryPicker({ mode: "readwrite" }).catch(() => null);
      return folder && this.folders.push(folder) - 1;
    },
    async save(number, address, name) { // never over an existing file; returns what failed
      const folder = this.folders[number];
      let file;
      try {
        const answer = await fetch(address);
        if (!answer.ok) return "it was removed";
        const [, stem, ending] = name.match(/^(.*?)(\.[^.]*)?$/), there = [];
        for await (const each of folder.keys()) there.push(each.toLowerCase());
        for (let i = 2; there.includes(name.toLowerCase()); i++) name = `${stem} (${i})${ending || ""}`;
        file = await folder.getFileHandle(name, { create: true });
        await answer.body.pipeTo(await file.createWritable());
        return "";
      } catch (error) {
        if (file) await folder.removeEntry(name).catch(() => {});
        return error.message;
      }
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
