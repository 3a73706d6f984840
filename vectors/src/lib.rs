//! Known answers of the bmap-1 profile, and the runner that native, WebAssembly and TypeScript share.
