// Colors as three levels and as text.
export const hex = (color) => "#" + color.map((level) => level.toString(16).padStart(2, "0")).join("");
export const levels = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
