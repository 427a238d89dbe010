// From barcode to subject: section 8 of docs/protocol/README.md.

const COUNTRIES = new Set(
  `AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
  CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE
  GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM
  KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ
  NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH
  SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG
  VI VN VU WF WS YE YT ZA ZM ZW`.split(/\s+/),
);
const ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const PREFIX = /^(\][A-Z][0-9A-Z])+/;

// Characters of a GS1 element whose application identifier begins so, the identifier included. Others end with FNC1.
const GS1_LENGTHS = { "00": 20, "01": 16, "02": 16, "03": 16, "04": 18, "20": 4, "41": 16 };
for (let n = 11; n <= 19; n++) GS1_LENGTHS[n] = 8;
for (let n = 31; n <= 36; n++) GS1_LENGTHS[n] = 10;

function s10Key(digits) {
  const sum = [8, 6, 4, 2, 3, 5, 9, 7].reduce((total, weight, n) => total + weight * Number(digits[n]), 0);
  const key = 11 - (sum % 11);
  return String({ 10: 0, 11: 5 }[key] ?? key);
}

function modulo10(digits) {
  const sum = [...digits].reverse().reduce((total, digit, n) => total + Number(digit) * (n % 2 ? 1 : 3), 0);
  return String((10 - (sum % 10)) % 10);
}

function mod3736(text) {
  let check = 36;
  for (const character of text) check = (((check + ALPHANUMERIC.indexOf(character)) % 36 || 36) * 2) % 37;
  return ALPHANUMERIC[(37 - check) % 36];
}

class NotAnItem extends Error {}
const refuse = (code) => {
  throw new NotAnItem(code);
};
const keyFits = (computed, given, code = "key-wrong") => computed === given || refuse(code);

function s10(text) {
  if ("JKSTW".includes(text[0])) refuse("service-reserved");
  if (!COUNTRIES.has(text.slice(11))) refuse("country-unknown");
  keyFits(s10Key(text.slice(2, 10)), text[10]);
  return text;
}

function thirteen(text, code) {
  if (!"12".includes(text[0])) keyFits(modulo10(text.slice(2, 12)), text[12], code);
  return text;
}

function takenInCharge(text) {
  if (text[2] !== "1") refuse("sort-marker-wrong");
  keyFits(modulo10(text.slice(8, 23)), text[23], "label-key-wrong");
  refuse("label-only");
}

function routing(text) {
  if (text[0] === "%") return thirteen(text.slice(8, 21), "inner-number-wrong");
  keyFits(mod3736(text.slice(0, 27)), text[27], "routing-key-wrong");
  return thirteen(text.slice(7, 20), "inner-number-wrong");
}

function sscc(text) {
  const number = text.slice(-18);
  keyFits(modulo10(number.slice(0, 17)), number[17]);
  return number;
}

const SHAPES = [
  [/^[A-Z]{2}[0-9]{9}[A-Z]{2}$/, s10],
  [/^([0-9][A-Z]|[A-Z]{2})[0-9]{11}$/, thirteen],
  [/^[0-9]{3}[A-Z0-9][0-9]{10}[A-Z0-9]$/, (text) => text],
  [/^([0-9][A-Z]|[A-Z]{2})[0-9A-Z]{6}[0-9]{16}$/, takenInCharge],
  [/^%00[0-9A-Z]{5}([0-9][A-Z]|[A-Z]{2})[0-9]{11}0[0-9]{6}$/, routing],
  [/^00[0-9A-Z]{5}([0-9][A-Z]|[A-Z]{2})[0-9]{11}0[0-9]{6}[0-9A-Z]$/, routing],
  [/^(00)?[0-9]{18}$/, sscc],
  [/^[0-9]{13}$/, () => refuse("article-number")],
];

function ssccAmongElements(raw) {
  if (!/^(\x1d|\](C1|D2|Q3|E0)|\(00\))/i.test(raw)) return null;
  let rest = raw.toUpperCase().replace(PREFIX, "").replace(/[()]/g, "");
  while (rest) {
    if (rest[0] === "\x1d") rest = rest.slice(1);
    if (rest.startsWith("00")) return rest.slice(2, 20);
    const end = rest.indexOf("\x1d"), most = end < 0 ? rest.length : end;
    rest = rest.slice(GS1_LENGTHS[rest.slice(0, 2)] ?? most);
  }
  return null;
}

// The item's number, or the code of the refusal.
export function itemOf(raw, symbology) {
  const kept = raw.replace(/[\p{Cc}\p{Cf}\p{Zs}\p{Zl}\p{Zp}\p{Pd}]/gu, "");
  const text = ssccAmongElements(raw) ?? kept.replace(/[a-z]/g, (letter) => letter.toUpperCase()).replace(PREFIX, "");
  try {
    if (!text) refuse("empty");
    const [, read] = SHAPES.find(([shape]) => shape.test(text)) ?? [];
    if (read) return { number: read(text), refused: null };
    return { number: null, refused: /data.?matrix|qr|aztec|pdf.?417/i.test(symbology) ? "opaque-2d" : "shape-unknown" };
  } catch (refusal) {
    if (refusal instanceof NotAnItem) return { number: null, refused: refusal.message };
    throw refusal;
  }
}
