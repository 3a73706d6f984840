//! The WebAssembly boundary of the SDK, thin.
