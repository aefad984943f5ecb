// The form by which a fault is injected into a live run; it needs the token that came with the URL.

const make = (tag, parent, properties = {}) =>
  Object.assign(parent.appendChild(document.createElement(tag)), properties);

export class FaultForm {
  constructor(about) {
    this.about = about;
    this.token = location.hash.slice(1);
    this.form = document.querySelector("#fault form");
    document.getElementById("fault").hidden = !this.token;
    const box = make("div", this.form, { className: "field" });
    make("label", box, { textContent: "fault", htmlFor: "fault-kind" });
    this.kind = make("select", box, { id: "fault-kind" });
    for (const { kind } of about.forms) make("option", this.kind, { textContent: kind, value: kind });
    this.words = make("p", this.form);
    this.fields = make("div", this.form, { className: "fields" });
    this.button = make("button", this.form, { textContent: "Inject", type: "submit" });
    this.answer = make("output", this.form);
    this.kind.addEventListener("input", () => this.build());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.build();
  }

  /** A run that has ended takes no fault. */
  close() {
    this.button.disabled = true;
  }

  build() {
    const { words, fields } = this.about.forms.find(({ kind }) => kind === this.kind.value);
    this.words.textContent = words;
    this.fields.replaceChildren();
    this.inputs = fields.map((field) => [field, this.input(field)]);
  }

  input({ name, type, words, required, choices, default: initial }) {
    const box = make("div", this.fields, { className: "field" });
    const id = `fault-of-${name}`;
    make("label", box, { textContent: name.replaceAll("_", " "), htmlFor: id });
    const offered = {
      choice: choices,
      link: this.about.links.map(({ a, b }) => [`${a}-${b}`, JSON.stringify([a, b])]),
      node: this.about.nodes.map((node) => node.name),
    }[type];
    let input;
    if (offered) {
      input = make("select", box, { id });
      for (const item of offered) {
        const [shown, value] = Array.isArray(item) ? item : [item, item];
        make("option", input, { textContent: shown, value });
      }
    } else {
      input = make("input", box, { id, type: { number: "number", switch: "checkbox" }[type] ?? "text" });
      if (type === "number") input.step = "any";
      if (type === "names") input.placeholder = "A, B";
      if (type === "groups") input.placeholder = "A, B / C, D";
      if (initial !== null && initial !== undefined) input.placeholder = String(initial);
    }
    input.required = required && type !== "switch";
    if (words) {
      make("small", box, { textContent: words, id: `${id}-words` });
      input.setAttribute("aria-describedby", `${id}-words`);
    }
    return input;
  }

  async send() {
    const fault = { kind: this.kind.value };
    for (const [{ name, type }, input] of this.inputs) {
      const value = valueOf(type, input);
      if (value !== undefined) fault[name] = value;
    }
    this.button.disabled = true;
    this.answer.textContent = "asking the run";
    try {
      const headers = { "content-type": "application/json", "x-qsagin-token": this.token };
      const reply = await fetch("/api/faults", { method: "POST", headers, body: JSON.stringify(fault) });
      const said = await reply.json();
      this.answer.textContent = reply.ok ? `in force from window ${said.window}` : said.error;
    } catch {
      this.answer.textContent = "the page does not answer";
    }
    this.button.disabled = false;
  }
}

function valueOf(type, input) {
  if (type === "switch") return input.checked || undefined;
  if (input.value.trim() === "") return undefined;
  if (type === "number") return Number(input.value);
  if (type === "link") return JSON.parse(input.value);
  const names = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);
  if (type === "names") return names(input.value);
  if (type === "groups") return input.value.split("/").map(names);
  return input.value.trim();
}
