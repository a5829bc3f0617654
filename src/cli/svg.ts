/** What all charts of the command look like: readable on light and on dark. */
export const chartStyle = `
  svg { --back: #ffffff; --text: #24292f; --faint: #d0d7de; }
  @media (prefers-color-scheme: dark) { svg { --back: #0d1117; --text: #c9d1d9; --faint: #30363d; } }
  .back { fill: var(--back); }
  text { fill: var(--text); font: 12px system-ui, sans-serif; }
  .title { font-weight: 600; font-size: 14px; }
  .grid { stroke: var(--faint); stroke-width: 1; }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }`;
