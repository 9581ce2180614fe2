/**
 * Return `title` as a slug: lower-case ASCII letters and digits, words joined by `-`.
 *
 * @param {string} title any text
 * @param {{limit?: number}} [options] `limit`: the most characters, cut between words where that is possible
 * @returns {string} the slug; empty when no letter or digit is left
 */
export function slugify(title, { limit = 80 } = {}) {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new RangeError(`limit must be a whole number above 0: ${limit}`);
  }
  const words = title
    .normalize("NFKD")
    .replace(/\p{M}+/gu, "")
    .replaceAll("ß", "ss")
    .toLowerCase()
    .match(/[a-z0-9]+/g);
  return shorten(words ?? [], limit);
}

function shorten(words, limit) {
  const [first = "", ...rest] = words;
  let slug = first.slice(0, limit);
  for (const word of rest) {
    if (slug.length + 1 + word.length > limit) {
      break;
    }
    slug += `-${word}`;
  }
  return slug;
}
