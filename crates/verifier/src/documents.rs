//! Documents whose code is compiled as it is printed. For doc tests alone.

#[doc = include_str!("../../../README.md")]
pub struct Readme;

#[doc = include_str!("../../../docs/capabilities.md")]
pub struct Capabilities;

#[doc = include_str!("../../../docs/tools.md")]
pub struct Tools;
