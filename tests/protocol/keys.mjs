// Keys, digests and ids: sections 3, 4 and 8 of docs/protocol/README.md.

import crypto from "node:crypto";

export const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}(?![\s\S])/;

export const sha256 = (data) => crypto.createHash("sha256").update(data).digest();
export const canonical = ({ crv, kty, x, y }) => JSON.stringify({ crv, kty, x, y });
export const thumbprint = (jwk) => sha256(canonical(jwk)).toString("base64url");
export const contentDigest = (body) => `sha-256=:${sha256(body).toString("base64")}:`;
export const privateKey = (jwk) => crypto.createPrivateKey({ key: jwk, format: "jwk" });
const publicKey = (jwk) => crypto.createPublicKey({ key: jwk, format: "jwk" });
export const verified = (jwk, text, signature) =>
  crypto.verify("sha256", Buffer.from(text), { key: publicKey(jwk), dsaEncoding: "ieee-p1363" }, signature);

// The public key of a JWK in exactly the spelling of section 3, or nothing.
export function goodKey(jwk) {
  const coordinate = (text) => /^[A-Za-z0-9_-]{43}$/.test(text) && Buffer.from(text, "base64url").toString("base64url") === text;
  if (Object.keys(jwk).sort().join() !== "crv,kty,x,y" || jwk.crv !== "P-256" || jwk.kty !== "EC") return null;
  if (!coordinate(jwk.x) || !coordinate(jwk.y)) return null;
  try {
    return publicKey(jwk);
  } catch {
    return null; // it is not a point of the curve
  }
}

export function uuid7(milliseconds, bits = BigInt("0x" + crypto.randomBytes(10).toString("hex")) >> 6n) {
  const high = bits >> 62n, low = bits & ((1n << 62n) - 1n);
  const number = (BigInt(milliseconds) << 80n) | (7n << 76n) | (high << 64n) | (2n << 62n) | low;
  return number.toString(16).padStart(32, "0").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
