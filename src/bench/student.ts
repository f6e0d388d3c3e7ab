/**
 * Student's t for intervals of a mean of few values.
 *
 * A(t | ν) = P(|T| ≤ t) for ν degrees of freedom is a finite sum (Abramowitz & Stegun, "Handbook of Mathematical
 * Functions", 26.7.3 and 26.7.4), with θ = arctan(t / √ν):
 *   ν odd:  2/π · (θ + sin θ · (cos θ + 2/3 cos³ θ + … + (2·4…(ν − 3)) / (1·3…(ν − 2)) cos^(ν − 2) θ)), 2θ/π for ν = 1
 *   ν even: sin θ · (1 + 1/2 cos² θ + … + (1·3…(ν − 3)) / (2·4…(ν − 2)) cos^(ν − 2) θ)
 */

/** P(|T| ≤ t) of Student's t with `degrees` (a whole number of 1 or more) degrees of freedom, t ≥ 0. */
export const centralProbability = (t: number, degrees: number): number => {
  const angle = Math.atan(t / Math.sqrt(degrees));
  const sine = Math.sin(angle);
  const cosine = Math.cos(angle);
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = 0;
  for (let power = isOdd ? 1 : 0; power <= degrees - 2; power += 2) {
    sum += term;
    term *= ((power + 1) / (power + 2)) * cosine * cosine;
  }
  return isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
};

const BISECTIONS = 200;

/** The t with P(|T| ≤ t) = `confidence`, above 0 and below 1: 2.776 for 0.95 and 4 degrees of freedom. */
export const tQuantile = (confidence: number, degrees: number): number => {
  let low = 0;
  let high = 1;
  while (centralProbability(high, degrees) < confidence) {
    low = high;
    high *= 2;
  }
  for (let i = 0; i < BISECTIONS && low < high; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (centralProbability(middle, degrees) < confidence) low = middle;
    else high = middle;
  }
  return high;
};
