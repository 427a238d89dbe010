// A second handset, written from docs/protocol/README.md alone: Node 18 or later, its standard library only.
//
//   node client.mjs vectors FILE                          checks the test vectors
//   node client.mjs day TICKET ITEM [HOST:PORT]           enrols, takes the round, hands over, sends a batch twice
//
// TICKET is the QR code's content (JSON). HOST:PORT is where the API's name is served, if elsewhere. It prints JSON.
// What a real handset adds: key, enrolment, counter and events are on the disk before anything is shown as done.

import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import https from "node:https";

import { actOf, byRule, canonicalJson, nameOf, refusal, shownOf, signedAct } from "./acts.mjs";
import { itemOf } from "./barcodes.mjs";
import { canonical, contentDigest, goodKey, privateKey, thumbprint, UUID7, uuid7, verified } from "./keys.mjs";
import { textOf } from "./texts.mjs";

const COVERED = ["@method", "@authority", "@path"];
const TOLERANCE_SECONDS = 300;
const BOOT = crypto.randomBytes(8).toString("hex");

// --- signatures -----------------------------------------------------------------------------------------------

const formEncoded = (text) =>
  encodeURIComponent(text).replace(/[!'()~]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());

// A query parameter's component is held as `@query-param";name="word`: quotes around it make it what is signed.
function component(name, { method, url, headers }) {
  const { host, pathname, searchParams } = new URL(url);
  const parameter = /^@query-param";name="(.*)$/.exec(name);
  if (parameter) return formEncoded(searchParams.get(parameter[1]));
  return { "@method": method, "@authority": host, "@path": pathname }[name] ?? headers["Content-Digest"];
}

function signatureBase(names, parameters, request) {
  const lines = names.map((name) => `"${name}": ${component(name, request)}`);
  return [...lines, `"@signature-params": ${parameters}`].join("\n");
}

function required({ url, body }) {
  const parameters = [...new URL(url).searchParams.keys()].map((name) => `@query-param";name="${name}`);
  return [...COVERED, ...parameters, ...(body ? ["content-digest"] : [])];
}

function sign(request, key, keyid, created) {
  if (request.body) request.headers["Content-Digest"] = contentDigest(request.body);
  const names = required(request), nonce = crypto.randomBytes(16).toString("base64url");
  const covered = names.map((name) => `"${name}"`).join(" ");
  const parameters = `(${covered});created=${created};keyid="${keyid}";nonce="${nonce}"`;
  const base = signatureBase(names, parameters, request);
  const signature = crypto.sign("sha256", Buffer.from(base), { key: privateKey(key), dsaEncoding: "ieee-p1363" });
  request.headers["Signature-Input"] = `facteo=${parameters}`;
  request.headers["Signature"] = `facteo=:${signature.toString("base64")}:`;
}

// What the back office makes of a signature: "accepted" or the problem. It gives the base too.
function judge(request, keys, now) {
  const refused = { result: "identity-required" };
  const input = /^([a-z*][a-z0-9_.*-]*)=(\(([^)]*)\)((?:;[a-z]+=(?:-?\d+|"[^"]*"))*))$/.exec(
    request.headers["Signature-Input"] ?? "",
  );
  const signature = /^([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*=*):$/.exec(request.headers["Signature"] ?? "");
  if (!input || !signature || input[1] !== signature[1]) return refused;
  const names = input[3].split(/" "|^"|"$/).filter(Boolean);
  const told = Object.fromEntries([...input[4].matchAll(/;([a-z]+)=("?)([^";]*)\2/g)].map((m) => [m[1], m[3]]));
  const base = signatureBase(names, input[2], request);
  const raw = Buffer.from(signature[2], "base64");
  const key = keys[told.keyid];
  if (!key || !told.created || told.nonce === undefined) return refused;
  if (told.alg !== undefined && told.alg !== "ecdsa-p256-sha256") return refused;
  if (!required(request).every((name) => names.includes(name))) return refused;
  if (raw.length !== 64 || !verified(key, base, raw)) return refused;
  if (request.body && request.headers["Content-Digest"] !== contentDigest(request.body)) return refused;
  if (told.expires && Number(told.expires) < now) return refused;
  const off = Math.abs(Number(told.created) - now) > TOLERANCE_SECONDS;
  return { result: off ? "clock-skewed" : "accepted", base };
}

// --- the vectors ----------------------------------------------------------------------------------------------

function vectors(path) {
  const file = JSON.parse(fs.readFileSync(path, "utf8"));
  const failed = [], counted = {};
  const check = (part, name, good) => {
    counted[part] = (counted[part] ?? 0) + 1;
    if (!good) failed.push(`${part}: ${name}`);
  };
  for (const { name, public: jwk, d, canonical: text, thumbprint: print } of file.keys) {
    const made = crypto.createPublicKey(privateKey({ ...jwk, d })).export({ format: "jwk" });
    const same = canonical(jwk) === text && thumbprint(jwk) === print && canonical(made) === text;
    check("keys", name, same && goodKey(jwk) !== null);
  }
  for (const { because, public: jwk } of file.bad_keys) check("bad_keys", because, !goodKey(jwk));
  for (const { name, raw, symbology, number, refused } of file.barcodes) {
    const found = itemOf(raw, symbology);
    check("barcodes", name, found.number === number && found.refused === refused);
  }
  for (const { body, content_digest } of file.digests) check("digests", body, contentDigest(body) === content_digest);
  for (const { unix_ms, random_74_bits, uuid } of file.uuid7.made)
    check("uuid7", uuid, uuid7(unix_ms, BigInt("0x" + random_74_bits)) === uuid && UUID7.test(uuid));
  for (const { uuid, because } of file.uuid7.bad) check("uuid7", because, !UUID7.test(uuid));
  const { content, attestation_challenge_hex } = file.ticket;
  check("ticket", "challenge", Buffer.from(content.challenge).toString("hex") === attestation_challenge_hex);
  const { public: jwk, d, thumbprint: print } = file.keys[0], now = Date.parse(file.now) / 1000;
  const keys = { [file.device]: jwk };
  for (const { name, request, base, result } of file.signatures) {
    const known = request.url.endsWith("/v1/enrolments") ? { [print]: jwk } : keys;
    const judged = judge(request, known, now);
    check("signatures", name, judged.result === result && (result !== "accepted" || judged.base === base));
    if (result === "accepted") {
      const again = { ...request, headers: {} };
      sign(again, { ...jwk, d }, file.device, now);
      check("signed", name, judge(again, keys, now).result === "accepted");
    }
  }
  for (const { name, canonical: text, shown, points_by_rule, events, results, problem } of file.acts) {
    const drawn = new Map(), found = [];
    for (const { subject, data: sent } of events) {
      const data = points_by_rule ? { ...sent, drawing: { ...sent.drawing, strokes: byRule(points_by_rule) } } : sent;
      found.push(refusal({ data, subject }, jwk, file.device, drawn));
    }
    const same = found.map((refused) => (refused ? "refused" : "recorded")).join() === results.join();
    check("acts", name, same && found.at(-1) === problem);
    if (text) {
      const act = JSON.parse(text), { data } = events.at(-1);
      const again = signedAct(act, { ...jwk, d }, file.device);
      const alike = again.split(".").slice(0, 2).join() === data.act.split(".").slice(0, 2).join();
      check("signed_acts", name, alike && canonicalJson(act) === text && shownOf(shown) === act.shown);
      if (!problem) check("signed_acts", `${name}, anew`, canonicalJson(actOf(again, jwk)) === text);
    }
  }
  for (const { name, alert, pressed_at, fix, text } of file.texts)
    check("texts", name, textOf(alert, pressed_at, fix) === text);
  return { counted, failed };
}

// --- a handset ------------------------------------------------------------------------------------------------

class Handset {
  constructor(ticket, connectTo) {
    this.ticket = ticket;
    this.connectTo = connectTo ?? new URL(ticket.url).host;
    const { privateKey: key } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.key = key.export({ format: "jwk" });
    this.keyid = thumbprint(this.key);
    this.clockError = 0;
    this.sequence = 0;
    this.snapshot = 0;
    this.corrected = 0;
  }

  async call(method, path, body, headers = {}) {
    let answer = await this.send(method, path, body, headers);
    if (answer.status === 401 && answer.body?.type === "/problems/clock-skewed") {
      this.clockError = Date.parse(answer.body.server_time) - Date.now();
      this.corrected += 1;
      answer = await this.send(method, path, body, headers);
    }
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  send(method, path, body, headers) {
    const request = { method, url: this.ticket.url + path, headers: { ...headers }, body: body ? JSON.stringify(body) : "" };
    const { protocol, host } = new URL(request.url);
    if (body) request.headers["Content-Type"] = "application/json";
    sign(request, this.key, this.keyid, Math.floor((Date.now() + this.clockError) / 1000));
    Object.assign(request.headers, { Host: host, "Content-Length": Buffer.byteLength(request.body) });
    const { hostname, port } = new URL(`${protocol}//${this.connectTo}`);
    const options = { method, hostname, port, path, headers: request.headers, servername: host };
    return new Promise((resolve, reject) => {
      const sent = (protocol === "https:" ? https : http).request(options, (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () => {
          const text = Buffer.concat(parts).toString();
          resolve({ status: response.statusCode, headers: response.headers, body: text ? JSON.parse(text) : null });
        });
      });
      sent.on("error", reject);
      sent.end(request.body);
    });
  }

  async enrol() {
    const hardware = {
      serial: `NODE-${crypto.randomBytes(6).toString("hex")}`,
      manufacturer: "Node",
      model: "second client",
      os_version: process.version,
      app_version: "1",
    };
    const { crv, kty, x, y } = this.key;
    const request = { code: this.ticket.code, public_key: { crv, kty, x, y }, hardware };
    const { body } = await this.call("POST", "/v1/enrolments", request);
    const [header, payload, signature] = body.statement.split(".");
    const kid = JSON.parse(Buffer.from(header, "base64url")).kid;
    const key = body.server_keys.find((each) => each.kid === kid);
    const genuine = verified(key, `${header}.${payload}`, Buffer.from(signature, "base64url"));
    const stated = JSON.parse(Buffer.from(payload, "base64url"));
    if (!genuine || stated.key_thumbprint !== this.keyid) throw new Error("the statement is not what was enrolled");
    this.keyid = body.device;
    this.enrolment = body;
    return stated;
  }

  async round() {
    const { headers, body } = await this.call("GET", "/v1/round");
    this.snapshot = body.snapshot;
    const again = await this.call("GET", "/v1/round", null, { "If-None-Match": headers.etag });
    return { ...body, again: again.status };
  }

  event(type, item, data) {
    this.sequence += 1;
    const now = Date.now();
    return {
      specversion: "1.0",
      id: uuid7(now),
      source: this.enrolment.source,
      type,
      subject: `item/${itemOf(item, "code128").number}`,
      time: new Date(now).toISOString(),
      datacontenttype: "application/json",
      data: { barcode: { raw: item, symbology: "code128" }, ...data },
      sequence: this.sequence,
      snapshot: this.snapshot,
      devicemonotonic: Math.floor(performance.now()),
      deviceboot: BOOT,
    };
  }

  // One event for each item, all of one signature.
  handOver(items, receiver, drawing, { text, openedAt, ...said }) {
    const now = Date.now();
    const act = {
      id: uuid7(now),
      device: this.enrolment.device,
      procedure: "signature-id",
      version: 1,
      items: items.map((item) => itemOf(item, "code128").number),
      nonce: crypto.randomBytes(16).toString("base64url"),
      shown: shownOf(text),
      opened_at: new Date(openedAt).toISOString(),
      signed_at: new Date(now).toISOString(),
      receiver,
      drawing: nameOf(drawing),
      ...said,
    };
    const data = { act: signedAct(act, this.key, this.enrolment.device), drawing };
    return items.map((item) => this.event("facteo.item.handed-over", item, data));
  }

  async sync(events) {
    const clock = { time: new Date().toISOString(), monotonic: Math.floor(performance.now()), boot: BOOT };
    const { headers, body } = await this.call("POST", "/v1/events", { clock, events });
    return { ...body, commands_waiting: Number(headers["facteo-commands-waiting"]) };
  }
}

// Strokes as a pad gives them. Nobody signs twice alike.
function aDrawing() {
  const point = (_, n) => [4000 + 1500 * n + crypto.randomInt(900), 20000 + crypto.randomInt(20000), 16 * n, 128];
  return { pad: { width: 1080, height: 420, dpi: 420 }, strokes: [Array.from({ length: 32 }, point)] };
}

async function day(ticket, item, connectTo) {
  const handset = new Handset(JSON.parse(ticket), connectTo);
  const stated = await handset.enrol();
  const round = await handset.round();
  const events = [
    handset.event("facteo.item.scanned", item, { step: "out-for-delivery" }),
    handset.event("facteo.item.scanned", item, { step: "teleported" }),
    ...handset.handOver([item], { last_name: "LEFÈVRE", first_name: "Hélène" }, aDrawing(), {
      text: ["Remise contre signature", item],
      openedAt: Date.now() - 20_000,
      document: "identity-card",
    }),
  ];
  const [first, again] = [await handset.sync(events), await handset.sync(events)];
  return { stated, round, ids: events.map((event) => event.id), first, again, corrected: handset.corrected };
}

const [command, ...given] = process.argv.slice(2);
const told = command === "vectors" ? vectors(...given) : await day(...given);
console.log(JSON.stringify(told));
