//! An axum tool over the GeoNames cities, protected by bmap-verifier.

fn main() {}
