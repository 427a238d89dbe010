// Acts of handing over: section 9 of docs/protocol/README.md.

import crypto from "node:crypto";

import { privateKey, sha256, UUID7, verified } from "./keys.mjs";

// Canonical JSON (RFC 8785) of what has no fractions.
export function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
  return `{${members.join()}}`;
}

const fourNumbers = ([x, y, t, p = 0]) => [x, y, t, p];
const strokesText = ({ strokes }) => canonicalJson(strokes.map((stroke) => stroke.map(fourNumbers)));
export const nameOf = (drawing) => (drawing ? sha256(strokesText(drawing)).toString("hex") : null);
export const shownOf = (lines) => sha256(lines.join("\n")).toString("hex");
const encoded = (text) => Buffer.from(text).toString("base64url");

export function signedAct(act, key, device) {
  const input = `${encoded(canonicalJson({ alg: "ES256", kid: device }))}.${encoded(canonicalJson(act))}`;
  const signature = crypto.sign("sha256", Buffer.from(input), { key: privateKey(key), dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

const whole = (value, least, most) => Number.isInteger(value) && value >= least && value <= most;
const timed = (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text);
const hash = (text) => /^[0-9a-f]{64}$/.test(text);
const DOCUMENTS = "identity-card passport driving-licence residence-permit digital-identity".split(" ");
const MEMBERS = {
  id: (value) => UUID7.test(value),
  device: (value) => typeof value === "string",
  procedure: (value) => typeof value === "string" && value.length <= 40,
  version: (value) => whole(value, 1, Number.MAX_SAFE_INTEGER),
  items: (value) => Array.isArray(value) && whole(value.length, 1, 50),
  nonce: (value) => typeof value === "string" && whole(value.length, 16, 64),
  shown: hash,
  opened_at: timed,
  signed_at: timed,
};
const OPTIONAL = {
  receiver: ({ last_name, first_name }) => Boolean(last_name && first_name),
  document: (value) => DOCUMENTS.includes(value),
  earlier: ({ item, event }) => Boolean(item) && UUID7.test(event),
  drawing: hash,
  carrier_drawing: hash,
  presented_on: (value) => /^\d{4}-\d\d-\d\d$/.test(value),
  unable_to_sign: (value) => typeof value === "boolean",
};

// The act in a JWS, or nothing if the handset did not sign one.
export function actOf(jws, jwk) {
  const [header, payload, signature, more] = jws.split(".");
  try {
    const { alg } = JSON.parse(Buffer.from(header, "base64url"));
    const raw = Buffer.from(signature, "base64url"), text = Buffer.from(payload, "base64url").toString();
    if (more !== undefined || alg !== "ES256" || raw.length !== 64) return null;
    if (!verified(jwk, `${header}.${payload}`, raw)) return null;
    const act = JSON.parse(text), known = { ...OPTIONAL, ...MEMBERS };
    const fits = ([name, value]) => known[name] && ((value === null && name in OPTIONAL) || known[name](value));
    const all = Object.keys(MEMBERS).every((name) => name in act) && Object.entries(act).every(fits);
    return all && canonicalJson(act) === text ? act : null;
  } catch {
    return null;
  }
}

function isDrawing(drawing) {
  if (drawing === null) return true;
  const { pad, strokes, ...more } = drawing;
  const point = ([x, y, t, p = 0, ...others]) =>
    whole(x, 0, 65535) && whole(y, 0, 65535) && whole(t, 0, 3600000) && whole(p, 0, 255) && !others.length;
  if (!pad || !Array.isArray(strokes) || Object.keys(more).length) return false;
  return whole(strokes.length, 1, 500) && strokes.every((stroke) => stroke.every(point));
}

function isSignature({ strokes }) {
  const points = strokes.flat(), times = points.map(([, , t]) => t);
  const extent = (axis) => Math.max(...points.map((point) => point[axis])) - Math.min(...points.map((point) => point[axis]));
  if (points.length < 10 || times.some((t, n) => n && t < times[n - 1])) return false;
  return times.at(-1) - times[0] >= 200 && Math.max(extent(0), extent(1)) * 100 >= 3 * 65535;
}

// Why a handing over is refused, or null; `drawn` holds the act of each drawing that was taken before.
export function refusal({ data, subject }, jwk, device, drawn) {
  if (!isDrawing(data.drawing) || !isDrawing(data.carrier_drawing)) return "event-malformed";
  const act = actOf(data.act, jwk);
  if (!act) return "act-unproven";
  if (act.device !== device || !act.items.includes(subject.slice("item/".length))) return "act-mismatch";
  if (Date.parse(act.signed_at) < Date.parse(act.opened_at)) return "act-mismatch";
  for (const which of ["drawing", "carrier_drawing"]) {
    const drawing = data[which];
    if (Boolean(drawing) !== Boolean(act[which])) return "act-mismatch";
    if (drawing && Buffer.byteLength(strokesText(drawing)) > 65536) return "drawing-too-large";
    if (nameOf(drawing) !== (act[which] ?? null)) return "act-mismatch";
    const excused = which === "drawing" && act.unable_to_sign;
    if (drawing && !excused && !isSignature(drawing)) return "signature-degenerate";
  }
  const names = [act.drawing, act.carrier_drawing].filter(Boolean);
  if (names.some((name) => drawn.has(name) && drawn.get(name) !== act.id)) return "signature-reused";
  for (const name of names) drawn.set(name, act.id);
  return null;
}

// The strokes that a vector leaves to the rule.
export function byRule(count) {
  const point = (_, n) => [(n * 7919) % 65536, (n * 104729) % 65536, n * 10, n % 256];
  return [Array.from({ length: count }, point)];
}
