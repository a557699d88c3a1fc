import { defineConfig } from 'vite'

/** The page is served by the API under any prefix (relative base), with `default-src 'self'`: nothing is inlined. */
export default defineConfig({
  base: './',
  build: {
    // light-dark() and nesting are used as written; older browsers get no page that half works.
    target: ['chrome123', 'edge123', 'firefox125', 'safari17.5'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
})
