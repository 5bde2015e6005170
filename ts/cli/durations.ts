/** How long things take, in words. */

/** '12.5 pictures/s'. */
export function perSecond(pictures: number, seconds: number): string {
  return `${(pictures / Math.max(seconds, 0.001)).toFixed(1)} pictures/s`
}

/** '12.3 s', '3 min 20 s' or '2 h 5 min'. */
export function duration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  const minutes = Math.round(whole / 60)
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
