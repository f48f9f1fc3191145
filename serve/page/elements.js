// Elements and figures. Text is put in as text: nothing that is shown can be markup.

export const $ = (id) => document.getElementById(id);
export const count = new Intl.NumberFormat("en");
export const figure = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export function element(kind, text = "", className = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}
