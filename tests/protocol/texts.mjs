// The text (SMS) of an alert: section 13 of docs/protocol/README.md.

const LETTERS = { gnss: "G", wifi: "W", cell: "C", unknown: "U" };

// A number with its sign, so many digits in front of the point and five behind it.
const degrees = (value, digits) => {
  const [whole, fraction] = Math.abs(value).toFixed(5).split(".");
  return `${value < 0 ? "-" : "+"}${whole.padStart(digits, "0")}.${fraction}`;
};

const stamp = (time) => new Date(time).toISOString().replace(/\.\d+Z$/, "").replace(/[-:T]/g, "");

const packed = (uuid) => Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url");

export function textOf(alert, pressedAt, fix) {
  const known = fix && fix.radius !== null;
  const fields = [
    ["lt", degrees(fix?.latitude ?? 0, 2)],
    ["lg", degrees(fix?.longitude ?? 0, 3)],
    ["top", stamp(fix?.fixed_at ?? pressedAt)],
    ["rd", known ? Math.ceil(fix.radius) : "N"],
    ["lc", known ? fix.confidence : 0],
    ["pm", fix ? LETTERS[fix.method] : "N"],
    ["fu", packed(alert)],
  ];
  const text = `A"ML=1${fields.map(([key, value]) => `;${key}=${value}`).join("")};ml=`;
  return text + (text.length + 2 <= 99 ? text.length + 2 : text.length + 3);
}
