//! The known-answer runner of `bmap-vectors`, built for `wasm32-unknown-unknown` so that the whole profile, both ends of it,
//! is checked in the form in which the SDK's half ships. For tests only: nothing that people install contains it.
