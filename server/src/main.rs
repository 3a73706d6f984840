//! The issuer: accounts, API keys, tools, tickets and tokens.

fn main() {}
